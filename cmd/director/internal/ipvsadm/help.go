package ipvsadm

import (
	"strings"

	"lvsnat/scheduler"
)

// helpText explains what this director does of ipvsadm, in ipvsadm's order.
func helpText(program string) string {
	return strings.NewReplacer("PROGRAM", program, "SCHEDULERS", schedulerList()).Replace(versionLine + help1 + help2)
}

// schedulerList is a line for each eight names.
func schedulerList() string {
	names := scheduler.Names()
	var lines []string
	for len(names) > 8 {
		lines = append(lines, strings.Join(names[:8], " "))
		names = names[8:]
	}
	return strings.Join(append(lines, strings.Join(names, " ")), "\n                            ")
}

const help1 = `Services and realservers of a running director, in the words of ipvsadm.

  PROGRAM -A|-E SERVICE [-s SCHEDULER] [-b FLAGS] [-p [SECONDS] [-M NETMASK]] [-o]
  PROGRAM -D SERVICE
  PROGRAM -a|-e SERVICE -r SERVER [-m] [-w WEIGHT] [-x UPPER] [-y LOWER]
  PROGRAM -d SERVICE -r SERVER
  PROGRAM -C
  PROGRAM -L|-l [SERVICE] [-n] [--stats|--rate|--thresholds|--persistent-conn] [--exact] [--nosort]
  PROGRAM -L -c [-n] | -L --timeout | -L --daemon
  PROGRAM -S [-n]
  PROGRAM -R [--dry-run]
  PROGRAM -Z [SERVICE]
  PROGRAM --set TCP TCPFIN UDP
  PROGRAM -h | -v

SERVICE is -t HOST:PORT (TCP) or -u HOST:PORT (UDP), SERVER is HOST[:PORT].
Hosts and ports may be names. Port 0 stands for all ports and needs -p.
`

const help2 = `
Commands, of which one comes first:
  --add-service     -A      add a service
  --edit-service    -E      change a service; what is not given gets its default
  --delete-service  -D      take a service away; its connections go on
  --add-server      -a      add a realserver
  --edit-server     -e      change a realserver; what is not given gets its default
  --delete-server   -d      take a realserver away; its connections go on
  --clear           -C      take all services away
  --list            -L, -l  list services, or with -c connections
  --save            -S      write the commands that make what there is
  --restore         -R      carry out commands from stdin, all in one step
  --zero            -Z      let shown counters begin at 0
  --set                     idle seconds of TCP, TCP after a FIN, and UDP; 0: as before
  --help            -h
  --version         -v

Options:
  --scheduler       -s      SCHEDULERS; default wlc
  --sched-flags     -b      of sh: sh-fallback,sh-port; of mh: mh-fallback,mh-port
  --persistent      -p      a client stays with its realserver; default 360 seconds
  --netmask         -M      clients alike under the mask count as one
  --ops             -o      UDP: each datagram for itself
  --masquerading    -m      network address translation: the only way, and the default
  --weight          -w      share of new connections, 0 to 65535; default 1
  --u-threshold     -x      with so many connections a realserver gets no new ones
  --l-threshold     -y      until it has fewer than so many
  --numeric         -n      addresses and ports instead of names
  --connection      -c      connections
  --stats                   connections, packets and bytes
  --rate                    the same a second; bytes, not bits
  --exact           -X      all digits
  --thresholds              -x and -y
  --persistent-conn         clients bound by persistence
  --timeout                 what --set has set
  --daemon                  connection sync: there is none yet
  --nosort                  realservers in the order of the schedulers
  --dry-run                 of -R: only write the commands that make the difference

Refused: -g, -i (the director masquerades), -f (packets reach it before the
kernel could mark them), --sctp-service, --pe, --start-daemon.
`
