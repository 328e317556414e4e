package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"lvsnat/test/oracle/transcript"
)

// sampleLines is how many command lines a sample has.
const sampleLines = 300

// sample makes command lines at random, the same ones from the same seed. It
// leaves out what docs/ipvs-differences.md lists: the answers are to be the
// same.
func sample(seed uint64) []transcript.Step {
	s := sampler{Rand: rand.New(rand.NewPCG(seed, 0))}
	// ipvsadm -S loses thresholds, so a sample has one or the other.
	s.thresholds = s.IntN(2) == 0
	steps := make([]transcript.Step, sampleLines)
	for i := range steps {
		steps[i].Command = append([]string{"ipvsadm"}, s.line()...)
	}
	steps[0].Remarks = []string{fmt.Sprintf("A sample from the seed %d.", seed)}
	return steps
}

type sampler struct {
	*rand.Rand
	thresholds bool
}

func (s sampler) one(words ...string) string { return words[s.IntN(len(words))] }

// some returns each of the options with a chance of one in three, in any order.
func (s sampler) some(options ...string) []string {
	var words []string
	for _, i := range s.Perm(len(options)) {
		if s.IntN(3) == 0 {
			words = append(words, strings.Fields(options[i])...)
		}
	}
	return words
}

// line makes one command line.
func (s sampler) line() []string {
	switch s.IntN(12) {
	case 0, 1:
		return s.serviceLine()
	case 2, 3, 4, 5:
		return s.serverLine()
	case 6:
		return []string{s.one("-D", "-Z", "-Z"), s.one("-t", "-t", "-u"), s.service()}
	case 7, 8, 9:
		return s.listLine()
	case 10:
		return []string{"--set", s.one("0", "1", "900", "x"), s.one("0", "120"), s.one("0", "300", "-1")}
	}
	return s.oddLine()
}

func (s sampler) service() string {
	return s.one("192.168.1.97", "192.168.1.97", "192.168.1.98") + ":" + s.one("80", "http", "https")
}

func (s sampler) serviceLine() []string {
	words := []string{s.one("-A", "-A", "-A", "-E"), s.one("-t", "-t", "-t", "-u"), s.service()}
	switch s.IntN(4) {
	case 0:
		words = append(words, "-s", "sh")
		words = append(words, s.some("-b "+s.one("sh-port", "sh-fallback", "sh-fallback,sh-port", "flag-1", "flag-2,flag-1", "mh-port"))...)
	case 1:
		words = append(words, s.some("-b mh-port,mh-fallback", "-s mh")...)
	default:
		words = append(words, s.some("-s "+s.one("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sed", "nq", "fo", "ovf", "none-such"))...)
	}
	return append(words, s.some("-p", "-p "+s.one("1", "60", "0"), "-M "+s.one("255.255.255.0", "255.255.0.0", "255.255.255.255"), "-o")...)
}

func (s sampler) serverLine() []string {
	words := []string{s.one("-a", "-a", "-a", "-e", "-d"), s.one("-t", "-t", "-t", "-u"), s.service(), "-r"}
	words = append(words, "10.1.1."+s.one("2", "3", "4", "12")+s.one("", ":8000", ":http-alt", ":81"))
	if words[0] == "-d" {
		return append(words, s.some("-w 1")...)
	}
	words = append(append(words, "-m"), s.some("-w "+s.one("0", "1", "7", "65535", "x", "-1"))...)
	if s.thresholds {
		words = append(words, s.some("-x "+s.one("0", "10", "2147483647"), "-y "+s.one("0", "5", "11"))...)
	}
	return words
}

func (s sampler) listLine() []string {
	if !s.thresholds && s.IntN(3) == 0 {
		return append([]string{"-S"}, s.some("-n")...)
	}
	words := []string{s.one("-L", "-l", "-Ln", "--list")}
	if s.IntN(2) == 0 {
		// Only within one service is the order without sorting the same at
		// each boot.
		words = append(append(words, "-t", s.service()), s.some("--nosort")...)
	}
	return append(words, s.some("-n", "--exact", "--stats", "--rate", "--thresholds", "--persistent-conn", "--tun-info", "--sort", s.one("--timeout", "--daemon", "", ""))...)
}

// oddLine makes a line that is likely wrong.
func (s sampler) oddLine() []string {
	words := []string{s.one("-A", "-E", "-D", "-a", "-e", "-d", "-L", "-S", "-Z", "--set", "--stop-daemon", "--bogus", "-n", "word")}
	return append(words, s.some("-t "+s.service(), "-u 192.168.1.97", "-r 10.1.1.2", "-m", "-n", "-s rr", "-p 5", "-w 3", "--stats", "-c", "master", "-D", "--numeric=1", "5")...)
}
