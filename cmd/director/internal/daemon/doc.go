// Package daemon runs a director: it opens the edges (rings, guard, ARP, control
// socket, metrics), plugs them into the dataplane, and keeps them in step with
// the configuration file and with the box's network until it is told to stop.
//
// What is opened in which order is in daemon.go; all of it is undone in reverse.
// Two things change while it runs. A reload (reload.go) brings a new wanted
// state. The network watcher and the dataplane report that a NIC, an address or
// the last connection of a removed realserver has come or gone; then follow.go
// brings rings, guard and announcements to what they should be. Both hold the
// director's lock; packets need neither.
package daemon
