package demo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lvsnat/scheduler"
)

// Options say what is demonstrated.
type Options struct {
	Scheduler   string        // by its IPVS name
	Realservers int           // 1 to 20
	Duration    time.Duration // of the whole demonstration; 0: until it is interrupted
	Interval    time.Duration // between two connections of the client
	Binary      string        // path of the director's program; empty: this program
	Plain       bool          // no colours, whatever the terminal can do
}

// Defaults returns the options that the environment asks for: SCHEDULER,
// REALSERVERS, DURATION (such as 30s) and NO_COLOR. Getenv is os.Getenv.
func Defaults(getenv func(string) string) (Options, error) {
	o := Options{Scheduler: "rr", Realservers: 3, Interval: 500 * time.Millisecond, Plain: getenv("NO_COLOR") != ""}
	if s := getenv("SCHEDULER"); s != "" {
		o.Scheduler = s
	}
	if s := getenv("REALSERVERS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return o, fmt.Errorf("REALSERVERS=%s is not a number", s)
		}
		o.Realservers = n
	}
	if s := getenv("DURATION"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			return o, fmt.Errorf("DURATION=%s is not a time such as 30s", s)
		}
		o.Duration = d
	}
	return o, o.validate()
}

func (o Options) validate() error {
	if !slices.Contains(scheduler.Names(), o.Scheduler) {
		return fmt.Errorf("there is no scheduler %q; there are %s", o.Scheduler, strings.Join(scheduler.Names(), ", "))
	}
	if o.Realservers < 1 || o.Realservers > 20 {
		return fmt.Errorf("%d realservers: the demonstration has room for 1 to 20", o.Realservers)
	}
	if o.Duration < 0 || o.Interval <= 0 {
		return fmt.Errorf("duration %v and interval %v must not be negative", o.Duration, o.Interval)
	}
	return nil
}
