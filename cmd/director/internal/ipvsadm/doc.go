// Package ipvsadm is the director in the shape of ipvsadm 1.31: the same words
// on the command line, the same listings byte for byte, the same messages and
// exit codes, so that scripts, ldirectord among them, cannot tell it from the
// kernel's tool.
//
// The way of a command: popt.go takes the words apart, options.go knows what
// they are called, parse.go makes a command of them and check.go refuses what
// does not go together. table.go carries it out on a copy of the director's
// state, which program.go then puts in force in one step. list.go, rules.go and
// connections.go write listings.
//
// Where it differs from ipvsadm, and why, is in docs/ipvs-differences.md.
package ipvsadm
