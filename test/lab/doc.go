// Package lab builds small networks out of network namespaces, runs real
// programs in them and takes them away again. It needs root and a Linux
// kernel, but no program such as ip or nft.
//
//	l, err := lab.New()
//	defer l.Close()
//	net, err := l.Build(lab.Options{Realservers: 3})
//	out, err := net.Client.Run(ctx, "curl", "-s", "http://192.168.1.110/")
//
// A Lab is made of Hosts. A Host is a namespace with its NICs, addresses,
// routes and kernel settings, and with everything that was started in it:
// programs, listeners, captures. Lab.Close ends all of them. Programs die with
// the process that started them, even if that is killed; the namespaces it
// leaves carry its process id in their names and are removed by the next New.
//
// Nothing in here touches a NIC outside the lab's own namespaces.
//
// The package does not import testing, because the demonstration uses it too;
// package labtest beside it is for tests.
package lab
