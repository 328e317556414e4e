package importer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"lvsnat/cmd/director/internal/config"
	"lvsnat/cmd/director/internal/names"
	"lvsnat/scheduler"
)

// fakeNames are the hosts of the LVS-HOWTO's picture.
type fakeNames struct{ names.Services }

var testNames = fakeNames{names.ReadServices(strings.NewReader("telnet 23/tcp\nhttp 80/tcp\ndomain 53/tcp\ndomain 53/udp\n"))}

func (fakeNames) Host(name string) (netip.Addr, bool) {
	hosts := map[string]string{
		"lvs": "192.168.1.110", "dip": "10.1.1.9",
		"realserver1": "10.1.1.2", "realserver2": "10.1.1.3", "realserver3": "10.1.1.4",
	}
	addr, err := netip.ParseAddr(hosts[name])
	return addr, err == nil
}

func (fakeNames) HostName(netip.Addr) string { return "" }

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func vip(text string) scheduler.Address { return scheduler.MustParseAddress(text) }

// imported reads a file of testdata.
func imported(t *testing.T, file string) (*config.Config, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	c, notes, err := Import("f", text, testNames)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("written", config.Marshal(c)); err != nil {
		t.Errorf("what is printed is refused: %v", err)
	}
	var lines []string
	for _, note := range notes {
		lines = append(lines, note.String())
	}
	return c, strings.Join(lines, "\n")
}

func sameServices(t *testing.T, got, want []scheduler.ServiceSpec) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func sameNotes(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("notes:\n%s\nwant\n%s", got, want)
	}
}

func TestTheHowtosSampleWithNames(t *testing.T) {
	c, notes := imported(t, "howto-names.conf")
	if c.VIPNIC != "eth0" || c.DIPNIC != "eth0" {
		t.Errorf("NICs %s and %s, want eth0 for both", c.VIPNIC, c.DIPNIC)
	}
	sameServices(t, c.Services, []scheduler.ServiceSpec{{
		Address: vip("192.168.1.110:23"), Protocol: 6, Scheduler: "rr",
		Realservers: []scheduler.RealserverSpec{
			{Address: at("10.1.1.2:23"), Weight: 1}, {Address: at("10.1.1.3:23"), Weight: 1}, {Address: at("10.1.1.4:23"), Weight: 1},
		},
	}})
	sameNotes(t, notes, `f:2: INITIAL_STATE ignored: a director that runs forwards
`+vipNote(3)+"\n"+dipNote(4)+`
f:5: DIRECTOR_DEFAULT_GW ignored: routes are the box's own: set its default gateway there
f:7: SERVER_NET_DEVICE ignored: nothing is to be done on realservers but their default gateway
f:8: SERVER_DEFAULT_GW ignored: set the director's address on the realservers' network as their default gateway there`)
}

func TestTheHowtosSampleWithAddresses(t *testing.T) {
	c, notes := imported(t, "howto-addresses.conf")
	sameServices(t, c.Services, []scheduler.ServiceSpec{
		{
			Address: vip("192.168.1.110:23"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:23"), Weight: 1}},
		},
		{
			Address: vip("192.168.1.110:80"), Protocol: 6, Scheduler: "wlc",
			Realservers: []scheduler.RealserverSpec{
				{Address: at("10.1.1.2:80"), Weight: 2}, {Address: at("10.1.1.3:8080"), Weight: 1}, {Address: at("10.1.1.4:80"), Weight: 1},
			},
		},
	})
	sameNotes(t, notes, `f:3: INITIAL_STATE ignored: a director that runs forwards
`+vipNote(5)+"\n"+dipNote(6))
}

func vipNote(line int) string {
	return fmt.Sprintf("f:%d: VIP: all but the NIC and the address ignored: the director answers ARP for a VIP that the box does not have", line)
}

func dipNote(line int) string {
	return fmt.Sprintf("f:%d: DIP: all but the NIC ignored: give it that address, which is the realservers' default gateway, by the box's own means", line)
}

func TestRulesOfIpvsadmSave(t *testing.T) {
	c, notes := imported(t, "rules.txt")
	sameServices(t, c.Services, []scheduler.ServiceSpec{
		{
			Address: vip("192.168.1.110:80"), Protocol: 6, Scheduler: "wlc", Persistence: 300 * time.Second, Netmask: 0xffffff00,
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:8000"), Weight: 2}, {Address: at("10.1.1.4:8000"), Weight: 1, Upper: 100, Lower: 80}},
		},
		{
			Address: vip("192.168.1.110:53"), Protocol: 17, Scheduler: "sh", Flags: scheduler.Flags{SHPort: true}, OnePacket: true,
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:53"), Weight: 1}},
		},
	})
	if want := (config.Timeouts{TCP: 600 * time.Second, TCPFIN: 120 * time.Second, UDP: 30 * time.Second}); c.Timeouts != want {
		t.Errorf("timeouts %v, want %v", c.Timeouts, want)
	}
	sameNotes(t, notes, `f:4: ignored: The director only masquerades, which routes replies back through it: leave -g away, or write -m
f:6: ignored: The director knows no firewall marks: packets reach it before the kernel's rules could mark them. Add a service for each address and port, or one with port 0 and -p for all ports of an address
f:7: ignored: Service not defined
f:10: ignored: a listing has no place in a file of rules
f:11: ignored: Try `+"`"+`ipvsadm -h' or 'ipvsadm --help' for more information.
f: names no NICs: vip_nic eth0 and dip_nic eth1 are a guess`)
}

func TestVirtualServersOfKeepalived(t *testing.T) {
	c, notes := imported(t, "keepalived.conf")
	sameServices(t, c.Services, []scheduler.ServiceSpec{
		{
			Address: vip("192.168.1.110:80"), Protocol: 6, Scheduler: "rr", Persistence: 50 * time.Second, Netmask: 0xffffff00,
			Realservers: []scheduler.RealserverSpec{
				{Address: at("10.1.1.2:8000"), Weight: 3, Upper: 100, Lower: 80}, {Address: at("10.1.1.3:8000"), Weight: 1}, {Address: at("10.1.1.4:80"), Weight: 1},
			},
		},
		{
			Address: vip("192.168.1.110:53"), Protocol: 17, Scheduler: "sh", Flags: scheduler.Flags{SHPort: true}, OnePacket: true, Persistence: 360 * time.Second,
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:53"), Weight: 1}},
		},
		{
			Address: vip("192.168.1.113:80"), Protocol: 6, Scheduler: "sh", Flags: scheduler.Flags{SHPort: true, SHFallback: true},
			Persistence: 360 * time.Second, Netmask: 0xffffff00,
			Realservers: []scheduler.RealserverSpec{{Address: at("10.1.1.2:80"), Weight: 2}, {Address: at("10.1.1.3:80"), Weight: 5}},
		},
	})
	if want := (config.Timeouts{TCP: 600 * time.Second, TCPFIN: 60 * time.Second, UDP: 30 * time.Second}); c.Timeouts != want {
		t.Errorf("timeouts %v, want %v", c.Timeouts, want)
	}
	const checks = "the director does not check realservers: run ldirectord with it, or change weights with director ipvsadm"
	sameNotes(t, notes, `f:3: notification_email ignored: it is not about a virtual server
f:6: vrrp_instance ignored: it is not about a virtual server
f:11: delay_loop ignored: `+checks+`
f:17: sorry_server ignored: the director has no server for when all others fail
f:22: TCP_CHECK ignored: `+checks+`
f:29: real_server fe80::1 80 ignored: fe80::1 is not an IPv4 address
f:39: notify_up ignored: the director tells nobody about realservers
f:44: virtual_server 192.168.1.111 443 ignored as a whole: the director only masquerades (lb_kind NAT)
f:49: virtual_server 192.168.1.112 443 ignored as a whole: the scheduler "nosuch" is not known
f:51: virtual_server fwmark 5 ignored: the director has services by address and port, not by firewall mark or group
f:53: virtual_server group WEB ignored: the director has services by address and port, not by firewall mark or group
f:61: ops ignored: it is for UDP
f:63: weight heavy ignored: write a number
f:60: mh-port ignored: it means nothing to the scheduler sh
f:68: virtual_server 192.168.1.113 80 ignored as a whole: the service tcp 192.168.1.113:80 is listed a second time; put its realservers into one entry
f:70: virtual_server 192.168.1.114 80 ignored as a whole: the realserver 10.1.1.2:80 has a weight of 70000; write a number from 0 to 65535; the realserver 10.1.1.2:80 is listed a second time in its service; keep one of the two
f:74: lvs_timeouts tcp 900000000 ignored: the timeout 250000h0m0s is out of range; write whole seconds from 1 to 2147483
f:74: lvs_timeouts udp ignored: write tcp, tcpfin or udp and seconds
f: names no NICs: vip_nic eth0 and dip_nic eth1 are a guess`)
}

func TestAFileThatGivesNoConfigurationSaysWhy(t *testing.T) {
	const head = "LVS_TYPE=VS_NAT\nVIP=eth0:110 192.168.1.110 255.255.255.0 192.168.1.255\nDIP=eth1 10.1.1.9\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "f: neither rules of ipvsadm-save, nor a lvs_nat.conf, nor a keepalived.conf with virtual servers"},
		{"another file", "services:\n  - address: 192.168.1.110:80\n", "f: neither rules of ipvsadm-save, nor a lvs_nat.conf, nor a keepalived.conf with virtual servers"},
		{"only a mark", "-A -f 5 -s rr\n", "f: has no service that the director could have"},
		{"direct routing", "LVS_TYPE=VS_DR\n", "f:1: LVS_TYPE=VS_DR: the director is for VS_NAT"},
		{"no VIP", "LVS_TYPE=VS_NAT\nSERVICE=t telnet rr 10.1.1.2\n", "f: has no VIP=NIC ADDRESS"},
		{"a second VIP", head + "VIP=eth0:111 192.168.1.111\n", "f:4: VIP: a second one: import a file for each"},
		{"no service", head, "f: has no service that the director could have"},
		{"an unknown VIP", "VIP=eth0:110 nobody 255.255.255.0\n", "f:1: VIP: no host is known by the name nobody: name a hosts file that has it with --hosts"},
		{"an unknown realserver", head + "SERVICE=t telnet rr nobody:telnet\n", "f:4: SERVICE: no host is known by the name nobody: name a hosts file that has it with --hosts"},
		{"an unknown port", head + "SERVICE=t nothing rr 10.1.1.2\n", "f:4: SERVICE: no port is known by the name nothing"},
		{"an unknown realserver port", head + "SERVICE=t 80 rr 10.1.1.2:nothing\n", "f:4: SERVICE: the realserver 10.1.1.2:nothing: no port is known by the name nothing"},
		{"a wrong weight", head + "SERVICE=t 80 rr 10.1.1.2:80,x\n", `f:4: SERVICE: the realserver 10.1.1.2:80,x has the weight "x"`},
		{"a mark", head + "SERVICE=f 5 rr 10.1.1.2\n", `f:4: SERVICE: is of the kind "f": the director has t (TCP) and u (UDP)`},
		{"an unknown scheduler", head + "SERVICE=t 80 xx 10.1.1.2\n", "f:4: SERVICE: the scheduler xx is not known"},
		{"too few words", head + "SERVICE=t 80\n", "f:4: SERVICE: has 2 words: write t or u, a port, a scheduler and realservers"},
		{"a realserver that is the VIP", head + "SERVICE=t 80 rr 192.168.1.110\n", "f: the realserver 192.168.1.110 is the VIP of a service; write the realserver's own address"},
		{"a block that does not end", "virtual_server 192.168.1.110 80 {\n", "f:1: the block that begins here does not end"},
		{"a block that has not begun", "virtual_server 192.168.1.110 80\n}\n", "f:2: a block ends here that has not begun"},
		{"a block without a name", "{\nvirtual_server 192.168.1.110 80\n}\n", "f:1: a block begins here without a name"},
		{"blocks without end", "virtual_server 192.168.1.110 80 " + strings.Repeat("{ a ", 30), "f:1: blocks lie more than 20 deep in one another"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _, err := Import("f", []byte(test.text), testNames)
			if err == nil || err.Error() != test.want {
				t.Errorf("%+v, %v; want %s", c, err, test.want)
			}
		})
	}
}

// FuzzImport holds that whatever a file says gives an error or a configuration
// that the director takes.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, notes, err := Import("f", text, testNames)
		for _, note := range notes {
			if note.Text == "" || note.Line < 0 || note.Line > strings.Count(string(text), "\n")+1 {
				t.Fatalf("%+v", note)
			}
		}
		if err != nil {
			return
		}
		if _, err := config.Parse("written", config.Marshal(c)); err != nil {
			t.Fatalf("what is printed is refused: %v", err)
		}
	})
}
