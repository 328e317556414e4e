package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lvsnat/test/lab"
)

// show tells what there is and then what happens, until ctx ends.
func (s *stage) show(ctx context.Context, screen *screen) error {
	s.drawNetwork(screen)
	screen.section("The director's configuration, " + s.director.File)
	screen.indented(s.config())
	if err := s.showHops(ctx, screen); err != nil {
		return err
	}
	s.suggest(screen)
	return s.live(ctx, screen)
}

func (s *stage) drawNetwork(screen *screen) {
	screen.section(fmt.Sprintf("A client, a director and %d realservers, each in a network namespace of its own", len(s.net.Realservers)))
	screen.line("  client                  director                                 realservers")
	left := []string{
		"  192.168.1.254 ---- eth0 192.168.1.9         10.1.1.1 eth1 --+--",
		"                          VIP 192.168.1.110                   +--",
		"                                                              +--",
	}
	for i, rs := range s.net.Realservers {
		screen.line("%s %s %s", left[min(i, 2)], screen.name(rs.Name), lab.RIP(i))
	}
	if len(s.net.Realservers) == 1 {
		screen.line("                          VIP 192.168.1.110")
	}
	screen.line("")
	screen.line("No interface has the VIP: the director answers ARP for it. The realservers know")
	screen.line("only their own network; their default gateway is the director, 10.1.1.1.")
}

func (s *stage) showHops(ctx context.Context, screen *screen) error {
	hops, realserver, err := s.follow(ctx)
	if err != nil {
		return fmt.Errorf("follow a connection: %w", err)
	}
	screen.section("One connection, as captured on the client's and on " + realserver + "'s wire")
	labels := []string{
		"request   CIP:port -> VIP:port",
		"          CIP:port -> RIP:port",
		"reply     RIP:port -> CIP:port",
		"          VIP:port -> CIP:port",
	}
	for i, h := range hops {
		screen.line("  %-31s %21s -> %-21s  %s", labels[i], h.from, h.to, h.wire)
	}
	screen.line("")
	screen.line("The director changes the destination of a request and the source of its reply.")
	screen.line("The client sees the VIP only; the realserver sees the client's own address.")
	return nil
}

func (s *stage) suggest(screen *screen) {
	control := s.options.Binary + " --state-dir " + s.state()
	client := "nsenter --net=/run/netns/" + s.net.Client.Namespace
	screen.section("Try in another terminal, as root")
	screen.line("a request from the client:")
	screen.line("  %s curl -s http://%s/", client, lab.VIP)
	screen.line("what the director knows:")
	screen.line("  %s status        (or services, or conns)", control)
	screen.line("no new connections for a realserver: give it weight 0 in the file above, then")
	screen.line("  %s reload", control)
	screen.line("a shell on the client; every host's namespace is in /run/netns:")
	screen.line("  %s sh", client)
	screen.line("")
	screen.line("Another scheduler and more realservers: make demo SCHEDULER=wlc REALSERVERS=5")
}

// live has the client connect again and again, and shows who answers and,
// from time to time, the director's own listings.
func (s *stage) live(ctx context.Context, screen *screen) error {
	screen.section("The client connects again and again (Ctrl-C ends it)")
	tick := time.NewTicker(s.options.Interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		client, realserver, err := s.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			screen.line("  %4d  no answer: %v", n, err)
		} else {
			screen.line("  %4d  %s -> %s  answered by %s", n, client, vipAddress, screen.name(realserver))
		}
		if n%tableEvery == 0 {
			if err := s.list(ctx, screen); err != nil {
				return err
			}
		}
		if screen.err != nil {
			return fmt.Errorf("write: %w", screen.err)
		}
		select {
		case <-tick.C:
		case <-s.director.Done():
			return fmt.Errorf("the director has ended by itself: %w", s.director.Wait(ctx))
		case <-ctx.Done():
			return nil
		}
	}
}

// list shows the services with their counters, and the newest entries of the
// connection table.
func (s *stage) list(ctx context.Context, screen *screen) error {
	for _, what := range [][]string{{"services"}, {"conns", "--limit", "5"}} {
		text, err := s.director.Control(ctx, what...)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		screen.section("director " + strings.Join(what, " "))
		screen.indented(text)
	}
	screen.line("")
	return nil
}

// summary shows the director's own account of what it has done. The
// demonstration's context has ended by then.
func (s *stage) summary(screen *screen) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	text, err := s.director.Control(ctx, "status")
	if err != nil {
		return // the director has ended by itself, which is told elsewhere
	}
	screen.section("director status")
	screen.indented(text)
}
