// Package control is how an operator talks to a running director: HTTP and JSON
// over a Unix socket in the director's state directory.
//
// The director listens ([Listen]) and answers ([NewServer]); the subcommands ask
// ([Client]). What travels between them is declared once, in wire.go, and carries
// [Version]; a field may be added within a version, but never renamed or given
// another meaning.
//
//	GET  /v1/status        a [Status]
//	GET  /v1/services      a [Services]
//	GET  /v1/connections   a [Connections], streamed; query: client, virtual, real, state, limit
//	POST /v1/reload        a [Reloaded]
//
// A request that fails is answered with a [Failure]. Whoever may write to the
// socket may command the director: the socket's file mode is the access control.
package control
