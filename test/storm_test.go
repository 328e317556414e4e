package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"lvsnat/test/lab"
	"lvsnat/test/lab/labtest"
)

const (
	stormTalkers  = 40 // connections that must live through the whole storm
	stormVisitors = 4  // clients that open and close connections all the time
	stormActions  = 60 // changes made meanwhile
	stormMetrics  = "127.0.0.1:9105"
)

// TestAStormOfChangesBreaksNoConnection holds connections that talk without
// a pause, opens others, and meanwhile changes at random what a running
// director may see changed. A talker's bytes must come back in order, for all
// of its life.
func TestAStormOfChangesBreaksNoConnection(t *testing.T) {
	for _, race := range []bool{false, true} {
		t.Run(fmt.Sprintf("race detector %v", race), func(t *testing.T) { rage(t, race) })
	}
}

func rage(t *testing.T, race bool) {
	seed := seedOf(t)
	top := labtest.Build(t, lab.Options{})
	for _, rs := range top.Realservers {
		labtest.Must(t, rs.ServeTCP(":7", lab.Echo))
	}
	s := storm{top: top, weights: []int{1, 1, 1}, random: rand.New(rand.NewPCG(seed, 1))}
	s.director = labtest.StartDirector(t, top, labtest.Start{Config: s.config(), Race: race})

	ctx, stop := context.WithCancel(labtest.ContextFor(t, 2*labtest.Limit))
	defer stop()
	var all sync.WaitGroup
	failures := make(chan error, stormTalkers+stormVisitors)
	for i := range stormTalkers {
		c := dial(t, top.Client, "192.168.1.110:7")
		all.Go(func() { failures <- talkOn(ctx, c, seed+uint64(i)) })
	}
	for range stormVisitors {
		all.Go(func() { failures <- visit(ctx, top.Client) })
	}
	for range stormActions {
		s.act(t)
	}
	stop()
	all.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
}

// talkOn echoes messages of random sizes over one connection until ctx ends.
func talkOn(ctx context.Context, c net.Conn, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 2))
	said, came := make([]byte, 64<<10), make([]byte, 64<<10)
	for n := 0; ctx.Err() == nil; n++ {
		size := 1 + random.IntN(1<<random.IntN(17))
		for i := range size {
			said[i] = byte(random.Uint32())
		}
		if err := exchange(c, said[:size], came[:size]); err != nil {
			return fmt.Errorf("talker %v, message %d of %d bytes: %w", c.LocalAddr(), n, size, err)
		}
	}
	return nil
}

func exchange(c net.Conn, said, came []byte) error {
	if err := c.SetDeadline(time.Now().Add(labtest.Limit)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(said)
		sent <- err
	}()
	_, err := io.ReadFull(c, came)
	if err := errors.Join(<-sent, err); err != nil {
		return err
	}
	if !bytes.Equal(said, came) {
		return errors.New("other bytes came back")
	}
	return nil
}

// visit opens connections, says a word and closes them, until ctx ends.
func visit(ctx context.Context, client *lab.Host) error {
	word, answer := []byte("hello"), make([]byte, 5)
	for n := 0; ctx.Err() == nil; n++ {
		c, err := client.DialContext(ctx, "tcp4", "192.168.1.110:7")
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = exchange(c, word, answer)
			c.Close()
		}
		if err != nil {
			return fmt.Errorf("visit %d: %w", n, err)
		}
	}
	return nil
}

// A storm changes things, one after the other.
type storm struct {
	top      *lab.Topology
	director *labtest.Director
	random   *rand.Rand
	weights  []int
	more     int // services beside the one in use
	macs     int
}

// config has the realservers in random order. At least one has a weight.
func (s *storm) config() lab.DirectorConfig {
	service := lab.Service{Address: "192.168.1.110:7", Scheduler: []string{"rr", "wlc"}[s.random.IntN(2)]}
	for _, i := range s.random.Perm(len(s.weights)) {
		service.Realservers = append(service.Realservers, lab.Realserver{Address: lab.RIP(i).String(), Weight: s.weights[i]})
	}
	config := s.top.Config(service)
	for i := range s.more {
		config.Services = append(config.Services, lab.Service{
			Address: "192.168.1." + strconv.Itoa(120+i) + ":7", Realservers: lab.Realservers("10.1.1.2"),
		})
	}
	config.Workers, config.Metrics = 2, stormMetrics
	return config
}

func (s *storm) nextMAC() net.HardwareAddr {
	s.macs++
	return net.HardwareAddr{2, 0, 0xbe, 0xef, 0, byte(s.macs)}
}

// act makes one change.
func (s *storm) act(t *testing.T) {
	t.Helper()
	director := s.top.Director
	switch s.random.IntN(9) {
	case 0:
		s.weights[s.random.IntN(2)] = s.random.IntN(3) // the third one keeps its weight
		s.director.Apply(s.config())
	case 1:
		s.more = s.random.IntN(5)
		s.director.Apply(s.config())
	case 2:
		setOffloads(t, s.top, combination(s.random.IntN(combinations)))
	case 3:
		labtest.Must(t, director.Sysctl("net.ipv4.ip_forward", strconv.Itoa(s.random.IntN(2))))
	case 4:
		// The director tells the clients by announcing its VIPs anew.
		s.director.Allow("eth0")
		labtest.Must(t, director.SetMAC("eth0", s.nextMAC()))
	case 5:
		rs := s.random.IntN(len(s.top.Realservers))
		labtest.Must(t, s.top.Realservers[rs].SetMAC("eth0", s.nextMAC()))
		claim(t, s.top.Realservers[rs], "eth0", lab.RIP(rs))
	case 6:
		labtest.Run(t, director, "nft", "flush", "ruleset")
		s.director.Allow("guard")
	case 7:
		if n := len(connections(t, s.director)); n < stormTalkers {
			t.Errorf("%d connections, want at least %d", n, stormTalkers)
		}
	case 8:
		metrics(t, s.top, stormMetrics)
	}
}
