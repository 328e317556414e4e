package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lvsnat/scheduler"
)

const (
	// svc begins a file whose first service stands in line 4.
	svc = head + "services:\n"

	// web is most of a good service, in one line.
	web = `- {address: "192.168.1.110:80", protocol: tcp`
)

// broken are files with mistakes, and the whole report about each.
var broken = []struct{ name, text, want string }{
	// The text as a whole.
	{"no text at all", "",
		`f:1:1: the file is empty; write at least vip_nic: eth0 and dip_nic: eth1`},
	{"only comments", "# nothing\n\n",
		`f:1:1: the file is empty; write at least vip_nic: eth0 and dip_nic: eth1`},
	{"a list instead of keys", "- eth0\n- eth1\n",
		`f:1:1: the file is a list; write keys such as vip_nic: eth0`},
	{"a single word", "eth0\n",
		`f:1:1: the file is the text "eth0"; write keys such as vip_nic: eth0`},
	{"a tab as indentation", head + "timeouts:\n\ttcp: 900s\n",
		`f:4:1: not YAML: found character tab that cannot start any token; indent with spaces`},
	{"a quote that is not closed", "vip_nic: \"eth0\ndip_nic: eth1\n",
		`f:1:10: not YAML: could not find end character of double-quoted text; close the quotes`},
	{"a list that is not closed", head + "services: [\n",
		`f:3:11: not YAML: sequence end token ']' not found; begin a list with [, separate its entries with commas, and end it with ]`},
	{"a map that is not closed", head + "timeouts: {tcp: 900s\n",
		`f:3:11: not YAML: could not find flow mapping end token '}'; begin a map with {, separate its entries with commas, and end it with }`},
	{"a key out of its column", "vip_nic: eth0\n  dip_nic: eth1\n",
		`f:1:10: not YAML: mapping value is not allowed in this context; begin each key in the same column as its neighbours, and put quotes around text that holds a colon and a space`},
	{"no space after the colon", "vip_nic:eth0\ndip_nic: eth1\n",
		`f:1:1: not YAML: unexpected key name; write key: value, with a space after the colon`},
	{"a second document", head + "---\n" + head,
		`f:4:1: a second document begins here; keep one document in a file and remove the line ---`},
	{"a binary file", "\x7fELF\x02\x01",
		`f:1:1: the control character 0x7f is not allowed; remove it`},
	{"a map's comma forgotten", svc + "- {address: \"192.168.1.110:80\" protocol: tcp}\n",
		`f:4:32: not YAML: ',' or '}' must be specified; begin a map with {, separate its entries with commas, and end it with }`},
	{"two keys on a line", svc + "- address: 192.168.1.110:80 protocol: tcp\n",
		`f:4:12: not YAML: mapping value is not allowed in this context; begin each key in the same column as its neighbours, and put quotes around text that holds a colon and a space`},
	{"a byte that is not UTF-8", "vip_nic: eth0\ndip_nic: \"\u00e9\xe9\"\n",
		`f:2:12: the byte 0xe9 is not UTF-8; save the file as UTF-8 text`},

	// NICs.
	{"no VIP NIC", "dip_nic: eth1\n",
		`f:1:1: vip_nic is missing; write vip_nic: eth0`},
	{"no DIP NIC", "vip_nic: eth0\n",
		`f:1:1: dip_nic is missing; write dip_nic: eth1`},
	{"an empty map", "{}\n",
		`f:1:1: vip_nic is missing; write vip_nic: eth0` + "\n" +
			`f:1:1: dip_nic is missing; write dip_nic: eth1`},
	{"a NIC without a name", "vip_nic:\ndip_nic: eth1\n",
		`f:1:9: vip_nic is empty; write vip_nic: eth0`},
	{"a NIC that is a list", "vip_nic: [eth0]\ndip_nic: eth1\n",
		`f:1:10: vip_nic is a list; write vip_nic: eth0`},
	{"a NIC that is a number", "vip_nic: 0\ndip_nic: eth1\n",
		`f:1:10: vip_nic is the number 0; write vip_nic: eth0`},
	{"a NIC's alias", "vip_nic: eth0:110\ndip_nic: eth1\n",
		`f:1:10: vip_nic "eth0:110" is the label of an address; write the NIC, vip_nic: eth0`},
	{"a NIC that is the loopback", "vip_nic: lo\ndip_nic: eth1\n",
		`f:1:10: vip_nic is lo, which no packet from another machine comes by; write vip_nic: eth0`},
	{"a NIC's name of 16 bytes", "vip_nic: abcdefghijklmnop\ndip_nic: eth1\n",
		`f:1:10: vip_nic "abcdefghijklmnop" is longer than the 15 bytes of a NIC's name; write vip_nic: eth0`},
	{"a NIC's name with a slash", "vip_nic: eth0\ndip_nic: /dev/eth1\n",
		`f:2:10: dip_nic "/dev/eth1" is not the name of a NIC; write dip_nic: eth1`},
	{"a NIC's name of two dots", "vip_nic: ..\ndip_nic: eth1\n",
		`f:1:10: vip_nic ".." is not the name of a NIC; write vip_nic: eth0`},
	{"a NIC's name that ends in a colon", "vip_nic: \"eth0:\"\ndip_nic: eth1\n",
		`f:1:10: vip_nic "eth0:" is not the name of a NIC; write vip_nic: eth0`},
	{"a NIC's name with a space", "vip_nic: eth0 eth1\ndip_nic: eth1\n",
		`f:1:10: vip_nic "eth0 eth1" is not the name of a NIC; write vip_nic: eth0`},
	{"a NIC's name of one character that is invisible", "vip_nic: \"eth\\u200b0\"\ndip_nic: eth1\n",
		"f:1:10: vip_nic \"eth\\u200b0\" is not the name of a NIC; write vip_nic: eth0"},

	// Keys.
	{"an unknown key", head + "balance: 3\n",
		`f:3:1: unknown key "balance"; known here are vip_nic, dip_nic, workers, max_connections, metrics, guard, tcp_profile, timeouts, services`},
	{"a misspelt key", head + "sevices: []\n",
		`f:3:1: unknown key "sevices"; did you mean services?`},
	{"a key that is there twice, once misspelt", "vip_nc: eth0\n" + head,
		`f:1:1: unknown key "vip_nc"; did you mean vip_nic?`},
	{"a key in capitals", "VIP-NIC: eth0\ndip_nic: eth1\n",
		`f:1:1: unknown key "VIP-NIC"; did you mean vip_nic?`},
	{"a key set twice", head + "vip_nic: eth2\n",
		`f:3:1: vip_nic is set a second time, first in line 1; remove one of the two`},
	{"a key that is a number", head + "80: tcp\n",
		`f:3:1: "80" cannot begin a key; write a key as plain text`},
	{"a key with an anchor", "&a vip_nic: eth0\ndip_nic: eth1\n",
		`f:1:1: "&" cannot begin a key; write a key as plain text` + "\n" +
			`f:1:1: vip_nic is missing; write vip_nic: eth0`},
	{"true as a key", "true: eth0\n" + head,
		`f:1:1: "true" cannot begin a key; write a key as plain text`},
	{"a merge key", svc + "- &web {address: 192.168.1.110:80, protocol: tcp}\n- <<: *web\n  address: 192.168.1.111:80\n",
		`f:5:3: merge keys (<<) are not supported; write the keys out, or give a whole list or map an anchor and an alias` + "\n" +
			`f:5:3: protocol is missing; write protocol: tcp`},
	{"masquerade, which comes later", head + "masquerade:\n- {source: 10.1.1.0/24}\n",
		`f:3:1: masquerade is not supported yet; remove it`},
	{"persistence without a unit", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  persistence: 300\n",
		`f:6:16: persistence 300 has no unit; write 300s for seconds`},
	{"persistence for longer than 31 days", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  persistence: 745h\n",
		`f:6:16: persistence 745h is out of range; write a duration from 1s to 2678400s`},
	{"a netmask as a length", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  persistence: 300s\n  netmask: /24\n",
		`f:7:12: netmask "/24" is not a netmask; write netmask: 255.255.255.0`},
	{"a netmask for all clients", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  persistence: 300s\n  netmask: 0.0.0.0\n",
		`f:7:12: netmask 0.0.0.0 would bind all clients together to one realserver; write a longer one, or list that realserver alone`},
	{"a netmask without persistence", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  netmask: 255.255.255.0\n",
		`f:6:12: the netmask is of no use without persistence; write persistence: 300s beside it, or remove it`},
	{"all ports without persistence", svc + "- address: 192.168.1.110:0\n  protocol: tcp\n",
		`f:4:12: the service 192.168.1.110:0 for all ports is not persistent, so the connections of one client would scatter; write persistence: 300s beside it`},
	{"all ports twice", svc + "- {address: \"192.168.1.110:0\", protocol: tcp, persistence: 1s}\n- {address: \"192.168.1.110:0\", protocol: tcp, persistence: 1s}\n",
		`f:5:13: the service tcp 192.168.1.110:0 is listed a second time, first in line 4; put its realservers into one entry`},
	{"one packet of TCP", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  one_packet: true\n",
		`f:4:12: the TCP service 192.168.1.110:80 has one_packet, and a TCP connection has more than one packet; remove one_packet`},
	{"one packet on all ports", svc + "- address: 192.168.1.110:0\n  protocol: udp\n  persistence: 300s\n  one_packet: true\n",
		`f:4:12: the service 192.168.1.110:0 for all ports has one_packet, and only a reply's port tells which service it belongs to; remove one_packet, or write a port`},
	{"ties that cannot rotate", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  scheduler: rr\n  rotate_ties: true\n",
		`f:7:16: the scheduler rr has no ties that could rotate; remove rotate_ties, or write scheduler: lc, nq, sed or wlc`},
	{"slow start without shares", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  scheduler: mh\n  slow_start: 30s\n",
		`f:7:15: the scheduler mh knows no slow start; remove slow_start, or write scheduler: nq, p2c, sed, swrr, wlc or wrr`},
	{"slow start of a day and more", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  slow_start: 48h\n",
		`f:6:15: slow_start 48h is out of range; write a duration from 1s to 86400s`},
	{"a truth value in quotes", svc + "- address: 192.168.1.110:53\n  protocol: udp\n  one_packet: \"true\"\n",
		`f:6:15: one_packet is the text "true"; write one_packet: true`},
	{"an unknown flag", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  scheduler: sh\n  flags: [sh-ports]\n",
		`f:7:11: a flag "sh-ports" is not known; write sh-fallback, sh-port, mh-fallback or mh-port`},
	{"a flag of another scheduler", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  scheduler: mh\n  flags: [mh-port, sh-port]\n",
		`f:7:20: the flag sh-port is for the scheduler sh; remove it, or write scheduler: sh`},
	{"a flag without its scheduler", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  flags: [mh-port]\n",
		`f:6:11: the flag mh-port is for the scheduler mh; remove it, or write scheduler: mh`},
	{"a threshold below zero", svc + web + ", realservers: [{address: 10.1.1.2, upper_threshold: -1}]}\n",
		`f:4:99: upper_threshold -1 is out of range; write a number from 0 to 2147483647`},
	{"a lower threshold above the upper", svc + web + ", realservers: [{address: 10.1.1.2, upper_threshold: 10, lower_threshold: 11}]}\n",
		`f:4:72: the realserver 10.1.1.2:80 has a lower_threshold of 11, above its upper_threshold of 10; write a lower one, or none for three quarters of the upper one`},

	// Numbers.
	{"workers below 0", head + "workers: -1\n",
		`f:3:10: workers -1 is out of range; write a number from 0 to 256`},
	{"too many workers", head + "workers: 257\n",
		`f:3:10: workers 257 is out of range; write a number from 0 to 256`},
	{"workers as a word", head + "workers: all\n",
		`f:3:10: workers is the text "all"; write workers: 2`},
	{"workers in quotes", head + "workers: \"2\"\n",
		`f:3:10: workers is the text "2"; write workers: 2`},
	{"workers as a fraction", head + "workers: 1.5\n",
		`f:3:10: workers is the number 1.5; write workers: 2`},
	{"workers in hexadecimal", head + "workers: 0x2\n",
		`f:3:10: workers is the number 0x2; write workers: 2`},
	{"no room for connections", head + "max_connections: 0\n",
		`f:3:18: max_connections 0 is out of range; write a number from 1 to 268435456`},
	{"more connections than any number holds", head + "max_connections: 99999999999999999999999\n",
		`f:3:18: max_connections 99999999999999999999999 is out of range; write a number from 1 to 268435456`},

	// Metrics, guard, timeouts.
	{"metrics without a port", head + "metrics: 127.0.0.1\n",
		`f:3:10: metrics "127.0.0.1" is not an address with a port; write metrics: 127.0.0.1:9105, or metrics: "" for none`},
	{"metrics by name", head + "metrics: localhost:9105\n",
		`f:3:10: metrics "localhost:9105" is not an address with a port; write metrics: 127.0.0.1:9105, or metrics: "" for none`},
	{"metrics on no address", head + "metrics: :9105\n",
		`f:3:10: metrics ":9105" is not an address with a port; write metrics: 127.0.0.1:9105, or metrics: "" for none`},
	{"metrics on port 0", head + "metrics: 127.0.0.1:0\n",
		`f:3:10: metrics "127.0.0.1:0" is not an address with a port; write metrics: 127.0.0.1:9105, or metrics: "" for none`},
	{"metrics as a port", head + "metrics: 9105\n",
		`f:3:10: metrics is the number 9105; write metrics: 127.0.0.1:9105`},
	{"an unknown guard", head + "guard: iptables\n",
		`f:3:8: guard "iptables" is not known; write auto, nft or none`},
	{"a guard as a truth value", head + "guard: false\n",
		`f:3:8: guard is the truth value false; write guard: auto`},
	{"a timeout without a unit", head + "timeouts: {tcp: 900}\n",
		`f:3:17: tcp 900 has no unit; write 900s for seconds`},
	{"a timeout of nothing", head + "timeouts: {tcp: 0s}\n",
		`f:3:17: tcp 0s is out of range; write a duration from 1s to 2147483s`},
	{"a timeout below a second", head + "timeouts: {udp: 1500ms}\n",
		`f:3:17: udp 1500ms is not a number of whole seconds; write 2s`},
	{"a timeout of years", head + "timeouts: {udp: 10000h}\n",
		`f:3:17: udp 10000h is out of range; write a duration from 1s to 2147483s`},
	{"a timeout in days", head + "timeouts: {tcp: 1d}\n",
		`f:3:17: tcp "1d" is not a duration; write a number with its unit, such as 900s, 15m or 1h30m`},
	{"a timeout that is empty", head + "timeouts:\n  tcp:\n",
		`f:4:8: tcp is empty; write tcp: 900s`},
	{"an unknown timeout", head + "timeouts: {tcp_fin: 120s}\n",
		`f:3:12: unknown key "tcp_fin"; did you mean tcpfin?`},
	{"an unknown profile", head + "tcp_profile: rcf\n",
		`f:3:14: tcp_profile "rcf" is not known; write ipvs or rfc`},
	{"a profile that is a number", head + "tcp_profile: 5382\n",
		`f:3:14: tcp_profile is the number 5382; write tcp_profile: ipvs`},
	{"a timeout of the other profile", head + "timeouts: {tcpsyn: 240s}\n",
		`f:3:20: the timeout tcpsyn is for the profile rfc: IPVS's times for opening a connection are fixed; write tcp_profile: rfc, or remove it`},
	{"timeouts as a list", head + "timeouts: [900s, 120s, 300s]\n",
		`f:3:11: timeouts is a list; write timeouts: {tcp: 900s, tcpfin: 120s, udp: 300s}`},
	{"timeouts that are empty", head + "timeouts:\n",
		`f:3:11: timeouts is empty; write timeouts: {tcp: 900s, tcpfin: 120s, udp: 300s}`},

	// Services.
	{"services as a map", svc + "  web: {address: 192.168.1.110:80}\n",
		`f:4:3: services is a map; write services: [{address: "192.168.1.110:80", protocol: tcp}]`},
	{"a service as a text", svc + "- 192.168.1.110:80\n",
		`f:4:3: a service is the text "192.168.1.110:80"; write - {address: "192.168.1.110:80", protocol: tcp}`},
	{"an entry that is empty", svc + "-\n",
		`f:4:3: a service is empty; write - {address: "192.168.1.110:80", protocol: tcp}`},
	{"a list within the list", svc + "- - {address: \"192.168.1.110:80\", protocol: tcp}\n",
		`f:4:3: a service is a list; write - {address: "192.168.1.110:80", protocol: tcp}`},
	{"a service without an address", svc + "- protocol: tcp\n  scheduler: rr\n",
		`f:4:3: address is missing; write address: 192.168.1.110:80`},
	{"a service without a protocol", svc + "- scheduler: rr\n  address: 192.168.1.110:80\n",
		`f:4:3: protocol is missing; write protocol: tcp`},
	{"a service without a port", svc + "- {address: 192.168.1.110, protocol: tcp}\n",
		`f:4:13: address 192.168.1.110 has no port; write 192.168.1.110:80, with the port that clients connect to`},
	{"a port that is too large", svc + "- {address: \"192.168.1.110:65536\", protocol: tcp}\n",
		`f:4:13: address has the port "65536"; write a port from 1 to 65535`},
	{"a port by name", svc + "- {address: \"192.168.1.110:http\", protocol: tcp}\n",
		`f:4:13: address has the port "http"; write a port from 1 to 65535`},
	{"a port with a zero before it", svc + "- {address: \"192.168.1.110:080\", protocol: tcp}\n",
		`f:4:13: address has the port "080"; write a port from 1 to 65535`},
	{"an address by name", svc + "- {address: \"www.example.org:80\", protocol: tcp}\n",
		`f:4:13: address "www.example.org" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80`},
	{"a part above 255", svc + "- {address: \"192.168.1.256:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.256" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80`},
	{"a part with a zero before it", svc + "- {address: \"192.168.001.110:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.001.110" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80`},
	{"a range of addresses without a port", svc + "- {address: 192.168.1.0/24, protocol: tcp}\n",
		`f:4:13: address 192.168.1.0/24 has no port; write 192.168.1.0/24:80, with the port that clients connect to`},
	{"an address without end", svc + "- {address: " + strings.Repeat("ä", 1000) + ", protocol: tcp}\n",
		`f:4:13: address "` + strings.Repeat("ä", 65) + ` [...] ` + strings.Repeat("ä", 43) + `" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80`},
	{"a number for an address", svc + "- {address: 192.168, protocol: tcp}\n",
		`f:4:13: address is the number 192.168; write address: 192.168.1.110:80`},
	{"a block of text for an address", svc + "- address: |\n    192.168.1.110:80\n  protocol: tcp\n",
		`f:4:12: address is a block of text; write address: 192.168.1.110:80`},
	{"an IPv6 service", svc + "- {address: \"[2001:db8::1]:80\", protocol: tcp}\n",
		`f:4:13: address "[2001:db8::1]:80" is not IPv4, and IPv6 is not supported yet; write address: 192.168.1.110:80`},
	{"an IPv4 address in IPv6 clothes", svc + "- {address: \"::ffff:192.168.1.110\", protocol: tcp}\n",
		`f:4:13: address "::ffff:192.168.1.110" is not IPv4, and IPv6 is not supported yet; write address: 192.168.1.110:80`},
	{"every address as VIP", svc + "- {address: \"0.0.0.0:80\", protocol: tcp}\n",
		`f:4:13: address 0.0.0.0 is of 0.0.0.0/8, which stands for no host; write the address of one host`},
	{"a loopback VIP", svc + "- {address: \"127.0.0.1:80\", protocol: tcp}\n",
		`f:4:13: address 127.0.0.1 is a loopback address, which never leaves a box; write the address of one host`},
	{"a multicast VIP", svc + "- {address: \"224.0.0.18:80\", protocol: tcp}\n",
		`f:4:13: address 224.0.0.18 is a multicast address; write the address of one host`},
	{"the broadcast address as VIP", svc + "- {address: \"255.255.255.255:80\", protocol: tcp}\n",
		`f:4:13: address 255.255.255.255 is the broadcast address; write the address of one host`},
	{"another protocol", svc + "- {address: \"192.168.1.110:80\", protocol: sctp}\n",
		`f:4:43: protocol "sctp" is not known; write tcp or udp`},
	{"a protocol in capitals", svc + "- {address: \"192.168.1.110:80\", protocol: TCP}\n",
		`f:4:43: protocol "TCP" is not known; write tcp or udp`},
	{"an unknown scheduler", svc + web + ", scheduler: fastest}\n",
		`f:4:59: scheduler "fastest" is not known; write ` + alternatives(scheduler.Names())},
	{"a service listed twice", svc + web + "}\n- {address: \"192.168.1.111:80\", protocol: tcp}\n- {address: \"192.168.1.110:80\", protocol: tcp}\n",
		`f:6:13: the service tcp 192.168.1.110:80 is listed a second time, first in line 4; put its realservers into one entry`},
	{"a service twice, each without its protocol", svc + "- {address: 192.168.1.110:80}\n- {address: 192.168.1.110:80}\n",
		`f:4:3: protocol is missing; write protocol: tcp` + "\n" +
			`f:5:3: protocol is missing; write protocol: tcp`},
	{"a service that is used twice by an alias", svc + "- &web {address: \"192.168.1.110:80\", protocol: tcp}\n- *web\n",
		`f:4:18: the service tcp 192.168.1.110:80 is listed a second time, first in line 4; put its realservers into one entry`},
	{"a key of the wrong map", svc + web + ", weight: 1}\n",
		`f:4:48: unknown key "weight"; known here are address, protocol, scheduler, flags, persistence, netmask, one_packet, rotate_ties, slow_start, realservers`},

	// Ranges of addresses and ports.
	{"a range that does not begin with its first address", svc + "- {address: \"192.168.1.110/28:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.110/28:80": 192.168.1.110 is not the first address of its range; write 192.168.1.96/28`},
	{"a prefix length that is too large", svc + "- {address: \"192.168.1.96/33:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.96/33" has a prefix length of "33"; write a number from 20 to 32`},
	{"a netmask for a prefix length", svc + "- {address: \"192.168.1.96/255.255.255.240:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.96/255.255.255.240" has a prefix length of "255.255.255.240"; write a number from 20 to 32`},
	{"a prefix length that is empty", svc + "- {address: \"192.168.1.96/:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.96/" has a prefix length of ""; write a number from 20 to 32`},
	{"a range that is too wide", svc + "- {address: \"192.168.0.0/19:80\", protocol: tcp}\n",
		`f:4:13: the range of addresses of 192.168.0.0/19:80 is wider than /20; write several smaller ones, in services of their own`},
	{"a range with the broadcast address", svc + "- {address: \"255.255.255.0/24:80\", protocol: tcp}\n",
		`f:4:13: the range of addresses of 255.255.255.0/24:80 holds the broadcast address; write smaller ranges without it`},
	{"a range of multicast addresses", svc + "- {address: \"224.0.0.0/24:80\", protocol: tcp}\n",
		`f:4:13: address 224.0.0.0 is a multicast address; write the address of one host`},
	{"a range of addresses with a hyphen", svc + "- {address: \"192.168.1.96-111:80\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.96-111" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80`},
	{"ports that end before they begin", svc + "- {address: \"192.168.1.110:5999-5000\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.110:5999-5000": the ports 5999-5000 end before they begin; write 5000-5999`},
	{"ports that begin at 0", svc + "- {address: \"192.168.1.110:0-99\", protocol: tcp}\n",
		`f:4:13: address "192.168.1.110:0-99": the ports 0-99 begin at 0, which is no port; write 1-99, or 0 for all ports`},
	{"ports without an end", svc + "- {address: \"192.168.1.110:5000-\", protocol: tcp}\n",
		`f:4:13: address has the ports "5000-"; write a range such as 5000-5999`},
	{"ports that are too large", svc + "- {address: \"192.168.1.110:60000-66000\", protocol: tcp}\n",
		`f:4:13: address has the ports "60000-66000"; write a range such as 5000-5999`},
	{"three ports", svc + "- {address: \"192.168.1.110:1-2-3\", protocol: tcp}\n",
		`f:4:13: address has the ports "1-2-3"; write a range such as 5000-5999`},
	{"port ranges without an order", svc + "- {address: \"192.168.1.110:5000-5999\", protocol: tcp}\n- {address: \"192.168.1.110:5500-6500\", protocol: tcp}\n",
		`f:5:13: the service tcp 192.168.1.110:5500-6500 has some ports in common with 192.168.1.110:5000-5999 in line 4, and neither is the narrower one; write ranges that lie one in the other, or apart`},
	{"a range twice", svc + "- {address: \"192.168.1.96/28:80\", protocol: tcp}\n- {address: \"192.168.1.96/28:80-80\", protocol: tcp}\n",
		`f:5:13: the service tcp 192.168.1.96/28:80 is listed a second time, first in line 4; put its realservers into one entry`},
	{"a realserver within a range of VIPs", svc + "- {address: \"192.168.1.96/28:80\", protocol: tcp, realservers: [{address: 192.168.1.111}]}\n",
		`f:4:74: the realserver 192.168.1.111 is among the VIPs of the service in line 4; write the realserver's own address`},
	{"all ports of a range without persistence", svc + "- {address: \"192.168.1.96/28:0\", protocol: tcp}\n",
		`f:4:13: the service 192.168.1.96/28:0 for all ports is not persistent, so the connections of one client would scatter; write persistence: 300s beside it`},
	{"one packet on a range of addresses", svc + "- {address: \"192.168.1.96/28:53\", protocol: udp, one_packet: true}\n",
		`f:4:13: the service 192.168.1.96/28:53 for several addresses has one_packet, and a reply does not tell which one was asked; remove one_packet, or write a service for each address`},
	{"one packet on ports that are mapped onto one", svc + "- {address: \"192.168.1.110:50-59\", protocol: udp, one_packet: true, realservers: [{address: \"10.1.1.2:53\"}]}\n",
		`f:4:93: the realserver 10.1.1.2:53 of a service for several ports with one_packet has a port, and only a reply's port tells which one was asked; write 10.1.1.2, or remove one_packet`},
	{"one packet with a realserver of another service", svc + "- {address: \"192.168.1.110:53\", protocol: udp, one_packet: true, realservers: [{address: 10.1.1.2}]}\n- {address: \"192.168.1.111:50-59\", protocol: udp, realservers: [{address: 10.1.1.2}]}\n",
		`f:4:13: the services 192.168.1.110:53 and 192.168.1.111:50-59 in line 5 have the realserver 10.1.1.2:53 in common and one of them has one_packet, so its replies could not be told apart; give it a port of its own in each, or remove one_packet`},
	{"ranges too large together", svc + manyRanges(17),
		`f:20:13: the ranges have 69632 addresses together up to here; write ranges of at most 65536 addresses together`},

	// Realservers.
	{"realservers as a text", svc + web + ", realservers: 10.1.1.2}\n",
		`f:4:61: realservers is the text "10.1.1.2"; write realservers: [{address: 10.1.1.2}]`},
	{"a realserver as a text", svc + web + ", realservers: [10.1.1.2]}\n",
		`f:4:62: a realserver is the text "10.1.1.2"; write - {address: 10.1.1.2}`},
	{"a realserver without an address", svc + web + ", realservers: [{weight: 1}]}\n",
		`f:4:62: address is missing; write address: 10.1.1.2`},
	{"a realserver's weight below 0", svc + web + ", realservers: [{address: 10.1.1.2, weight: -1}]}\n",
		`f:4:90: weight -1 is out of range; write a number from 0 to 65535`},
	{"a realserver's weight above 65535", svc + web + ", realservers: [{address: 10.1.1.2, weight: 65536}]}\n",
		`f:4:90: weight 65536 is out of range; write a number from 0 to 65535`},
	{"a realserver's weight in octal", svc + web + ", realservers: [{address: 10.1.1.2, weight: 010}]}\n",
		`f:4:90: weight is the number 010; write weight: 1`},
	{"a realserver's weight with a zero before it", svc + web + ", realservers: [{address: 10.1.1.2, weight: 08}]}\n",
		`f:4:90: weight is the text "08"; write weight: 1`},
	{"a realserver's weight that is empty", svc + web + ", realservers: [{address: 10.1.1.2, weight: }]}\n",
		`f:4:89: weight is empty; write weight: 1`},
	{"a realserver with port 0", svc + web + ", realservers: [{address: \"10.1.1.2:0\"}]}\n",
		`f:4:72: address has the port "0"; write a port from 1 to 65535`},
	{"a realserver with nothing after the colon", svc + web + ", realservers: [{address: \"10.1.1.2:\"}]}\n",
		`f:4:72: address has the port ""; write a port from 1 to 65535`},
	{"an IPv6 realserver", svc + web + ", realservers: [{address: \"2001:db8::2\"}]}\n",
		`f:4:72: address "2001:db8::2" is not IPv4, and IPv6 is not supported yet; write address: 10.1.1.2`},
	{"a loopback realserver", svc + web + ", realservers: [{address: 127.0.0.1}]}\n",
		`f:4:72: address 127.0.0.1 is a loopback address, which never leaves a box; write the address of one host`},
	{"a realserver listed twice", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  realservers:\n  - address: 10.1.1.2\n  - address: 10.1.1.2:80\n",
		`f:8:14: the realserver 10.1.1.2:80 is listed a second time in its service, first in line 7; keep one of the two`},
	{"a realserver that is a VIP", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  realservers:\n  - address: 192.168.1.111:8000\n- {address: \"192.168.1.111:443\", protocol: tcp}\n",
		`f:7:14: the realserver 192.168.1.111 is the VIP of the service in line 8; write the realserver's own address`},
	{"a realserver that is the VIP of two services", svc + web + "}\n- {address: 192.168.1.110:443, protocol: tcp, realservers: [{address: 192.168.1.110}]}\n",
		`f:5:71: the realserver 192.168.1.110 is the VIP of the service in line 4; write the realserver's own address`},

	// Anchors, tags and depth.
	{"an alias of nothing", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  realservers: *farm\n",
		`f:6:16: the alias *farm has no anchor; write &farm before the value that it stands for, further up in the file`},
	{"an alias of itself", svc + "- address: 192.168.1.110:80\n  protocol: tcp\n  realservers: &farm [*farm]\n",
		`f:6:22: a realserver is a list; write - {address: 10.1.1.2}`},
	{"a list that an alias uses twice is told once", svc + web + ", realservers: &farm [{address: 10.1.1}]}\n- {address: \"192.168.1.111:80\", protocol: tcp, realservers: *farm}\n",
		`f:4:78: address "10.1.1" is not an IPv4 address, and names are not looked up; write address: 10.1.1.2`},
	{"an anchor without a value", "vip_nic: &nic\ndip_nic: eth1\n",
		`f:1:11: vip_nic is empty; write vip_nic: eth0`},
	{"a scalar that is its own alias", "vip_nic: &nic *nic\ndip_nic: eth1\n",
		`f:1:15: not YAML: unexpected scalar value type; check indentation and quotes here and in the line above`},
	{"a tag", "vip_nic: !!str eth0\ndip_nic: eth1\n",
		`f:1:10: the tag !!str is not supported; remove it`},
	{"brackets nested too deep", "vip_nic: " + strings.Repeat("[", 100000),
		`f:1:49: this is nested more than 40 levels deep; check the brackets and the indentation`},
	{"list marks nested too deep", strings.Repeat("- ", 100000),
		`f:1:81: this is nested more than 40 levels deep; check the brackets and the indentation`},
	{"closing brackets before those that open", strings.Repeat("]", 1000) + strings.Repeat("[", 1000),
		`f:1:1040: this is nested more than 40 levels deep; check the brackets and the indentation`},
	{"indentation nested too deep", deepMaps(100),
		`f:41:41: this is nested more than 40 levels deep; check the brackets and the indentation`},
	{"anchors in a row", "vip_nic: " + strings.Repeat("&a ", 100000) + "eth0\n",
		`f:1:127: this is nested more than 40 levels deep; check the brackets and the indentation`},
	{"question marks in a row", strings.Repeat("? ", 100000),
		`f:1:81: this is nested more than 40 levels deep; check the brackets and the indentation`},

	// Several at once.
	{"all mistakes, in the order of the text", svc + "- protocol: icmp\n  address: 10.0.0.0.1:80\n  realservers:\n  - {address: 10.1.1.2, weight: -5}\nworkers: x\n",
		`f:4:13: protocol "icmp" is not known; write tcp or udp` + "\n" +
			`f:5:12: address "10.0.0.0.1" is not an IPv4 address, and names are not looked up; write address: 192.168.1.110:80` + "\n" +
			`f:7:33: weight -5 is out of range; write a number from 0 to 65535` + "\n" +
			`f:8:10: workers is the text "x"; write workers: 2`},
	{"what is known last stands in its place", svc + web + "}\n" + web + "}\n- realservers: [{address: 10.1.1.2, weight: -5}]\nworkers: x\n",
		`f:5:13: the service tcp 192.168.1.110:80 is listed a second time, first in line 4; put its realservers into one entry` + "\n" +
			`f:6:3: address is missing; write address: 192.168.1.110:80` + "\n" +
			`f:6:3: protocol is missing; write protocol: tcp` + "\n" +
			`f:6:45: weight -5 is out of range; write a number from 0 to 65535` + "\n" +
			`f:7:10: workers is the text "x"; write workers: 2`},
}

// deepMaps nests n maps by indentation.
func deepMaps(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%*sa:\n", i, "")
	}
	return b.String()
}

func TestBrokenFilesAreExplained(t *testing.T) {
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			config, err := Parse("f", []byte(test.text))
			if err == nil {
				t.Fatalf("accepted as %+v", config)
			}
			if err.Error() != test.want {
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

func TestAnErrorTellsItsParts(t *testing.T) {
	_, err := Parse("director.yaml", []byte(head+"workers: -1\n"))
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want an *Error", err)
	}
	want := Error{"director.yaml", 3, 10, "workers -1 is out of range", "write a number from 0 to 256"}
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestAReportEndsAfterFiftyProblems(t *testing.T) {
	_, err := Parse("f", []byte(svc+strings.Repeat("- x\n", 60)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 51 || lines[50] != "f: and 10 more problems after these" {
		t.Errorf("got %d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestAliasesCannotMultiplyRealserversWithoutBound(t *testing.T) {
	var b strings.Builder
	b.WriteString(svc)
	for i := range 450 {
		fmt.Fprintf(&b, "- address: 10.0.%d.%d:80\n  protocol: tcp\n  realservers: ", i>>8, i&255)
		if i > 0 {
			b.WriteString("*farm\n")
			continue
		}
		b.WriteString("&farm\n")
		for j := range 1000 {
			fmt.Fprintf(&b, "  - {address: 10.1.%d.%d}\n", j>>8, j&255)
		}
	}
	_, err := Parse("f", []byte(b.String()))
	const want = "f:7:3: services and realservers are more than 400000 up to here; split the file among several directors"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// manyRanges are n services, each of 4,096 addresses.
func manyRanges(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {address: \"10.%d.0.0/20:80\", protocol: tcp}\n", i)
	}
	return b.String()
}
