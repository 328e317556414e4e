package ipvsadm

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lvsnat/test/oracle/transcript"
)

// document lists the differences for operators, each with its reason.
const document = "../../../../docs/ipvs-differences.md"

// differences are the command lines of testdata/oracle/differences.txt that the
// director answers differently, by the row of the document that says why, and
// what the director answers instead. A * stands for a whole listing.
var differences = []struct{ row, command, answer string }{
	{"masquerading only", "ipvsadm -a -t 192.168.1.110:80 -r 10.1.1.3 -g",
		"! The director only masquerades, which routes replies back through it: leave -g away, or write -m\n= 2\n"},
	{"masquerading only", "ipvsadm -a -t 192.168.1.110:80 -r 10.1.1.4 -i",
		"! The director only masquerades, and realservers need no tunnel for that: leave -i away, or write -m\n= 2\n"},
	{"masquerading only", "ipvsadm -L -n", "*"},
	{"largest weight", "ipvsadm -a -t 192.168.1.110:80 -r 10.1.1.5 -m -w 65536",
		"! the realserver 10.1.1.5:80 has a weight of 65536; write a number from 0 to 65535\n= 255\n"},
	{"no firewall marks", "ipvsadm -A -f 5", "! " + errMark.text + "\n= 255\n"},
	{"no firewall marks", "ipvsadm -A -f 5 -6", "! " + errMark.text + "\n= 255\n"},
	{"no SCTP", "ipvsadm -A --sctp-service 192.168.1.110:80", "! The director balances TCP and UDP: SCTP is not supported\n= 255\n"},
	{"no IPv6 yet", "ipvsadm -A -t [2001:db8::1]:80", "! Operation not supported with IPv6\n= 255\n"},
	{"thresholds are saved", "ipvsadm -S -n",
		"| -A -t 192.168.1.110:80 -s wlc\n| -a -t 192.168.1.110:80 -r 10.1.1.2:80 -m -w 1 -x 10 -y 5\n= 0\n"},
	{"flags that mean nothing", "ipvsadm -L -n", "*"},
	{"netmask of all clients", "ipvsadm -A -t 192.168.1.110:82 -p 5 -M 0.0.0.0", "! " + errAllClients.text + "\n= 255\n"},
	{"one packet on all ports", "ipvsadm -A -u 192.168.1.110:0 -o -p 60",
		"! the service 192.168.1.110:0 for all ports has one_packet, and only a reply's port tells which service it belongs to; remove one_packet, or write a port\n= 255\n"},
	{"addresses that no packet has", "ipvsadm -A -t localhost:http -s lc",
		"! service tcp 127.0.0.1:80: 127.0.0.1 is a loopback address, which never leaves a box; write the address of one host\n= 255\n"},
	{"addresses that no packet has", "ipvsadm -A -t 0.0.0.0:80",
		"! service tcp 0.0.0.0:80: 0.0.0.0 is of 0.0.0.0/8, which stands for no host; write the address of one host\n= 255\n"},
	{"addresses that no packet has", "ipvsadm -A -t 224.0.0.1:80",
		"! service tcp 224.0.0.1:80: 224.0.0.1 is a multicast address; write the address of one host\n= 255\n"},
	{"longest timeout", "ipvsadm --set 2678400 2678400 2678400", "! " + errInvalid.text + "\n= 255\n"},
	{"longest timeout", "ipvsadm -L --timeout", "| Timeout (tcp tcpfin udp): 900 120 300\n= 0\n"},
	{"restore in one step", "ipvsadm -R", "*"},
	{"restore in one step", "ipvsadm -L -n", "*"},
	{"help", "ipvsadm -h", "*"},
}

func TestOnlyListedAnswersDiffer(t *testing.T) {
	text, err := os.ReadFile("testdata/oracle/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := transcript.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	d := newFake()
	met := make(map[int]bool)
	for _, step := range steps {
		got := answerOf(t, d, step)
		if got.Stdout == step.Stdout && got.Stderr == step.Stderr && got.Exit == step.Exit {
			continue
		}
		answer := string(transcript.Format([]transcript.Step{{Command: step.Command, Stdout: got.Stdout, Stderr: got.Stderr, Exit: got.Exit}}))
		_, answer, _ = strings.Cut(answer, "\n")
		found := false
		for i, known := range differences {
			if known.command == step.Name() && (known.answer == "*" || known.answer == answer) {
				found, met[i] = true, true
			}
		}
		if !found {
			t.Errorf("line %d: %s is answered with\n%swhich is on no list", step.Line, step.Name(), answer)
		}
	}
	for i, known := range differences {
		if !met[i] {
			t.Errorf("%s: %q is not answered differently", known.row, known.command)
		}
	}
}

func TestTheDocumentHasARowForEachDifference(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, match := range regexp.MustCompile(`(?m)^\| ipvsadm: ([^|]*[^| ]) *\|`).FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, match[1])
	}
	for _, known := range differences {
		if !slices.Contains(rows, known.row) {
			t.Errorf("%s has no row %q", document, known.row)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(differences, func(d struct{ row, command, answer string }) bool { return d.row == row }) {
			t.Errorf("%s has the row %q, and no recording shows it", document, row)
		}
	}
}
