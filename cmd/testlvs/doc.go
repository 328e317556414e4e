// Testlvs floods a virtual service with TCP SYN or UDP packets from many
// source addresses, to see what a director can carry.
//
// It has the flags, the banner and the packets of testlvs 0.1 (Julian
// Anastasov, 2000), which counted nothing itself: the director's throughput is
// what arrives at the realservers' NICs. A few sources measure how fast
// connections are found; a million measure how fast they are opened, and
// whether the table survives.
//
// The packets go through a transmit ring instead of one system call each, and
// it ends with a line that says at which rate. Since it can saturate a network
// with forged sources, it refuses a target that may lie outside this machine
// unless it is told -i-own-this-network (see permission.go).
//
// The way of a run: flags.go reads what is wanted, route.go asks the kernel
// for NIC and next hop, permission.go judges them, template.go makes the
// packet, flows.go numbers the sources, generator.go sends.
package main
