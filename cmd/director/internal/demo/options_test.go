package demo

import (
	"strings"
	"testing"
	"time"
)

func TestTheEnvironmentSetsTheOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want Options
		err  string
	}{
		{"nothing set", nil, Options{Scheduler: "rr", Realservers: 3}, ""},
		{"all set", map[string]string{"SCHEDULER": "wlc", "REALSERVERS": "5", "DURATION": "90s", "NO_COLOR": "1"},
			Options{Scheduler: "wlc", Realservers: 5, Duration: 90 * time.Second, Plain: true}, ""},
		{"no such scheduler", map[string]string{"SCHEDULER": "fair"}, Options{}, `no scheduler "fair"; there are `},
		{"not a number", map[string]string{"REALSERVERS": "many"}, Options{}, "REALSERVERS=many is not a number"},
		{"too many", map[string]string{"REALSERVERS": "21"}, Options{}, "room for 1 to 20"},
		{"none", map[string]string{"REALSERVERS": "0"}, Options{}, "room for 1 to 20"},
		{"a time without a unit", map[string]string{"DURATION": "90"}, Options{}, "not a time such as 30s"},
		{"a time that is over", map[string]string{"DURATION": "-1s"}, Options{}, "must not be negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Defaults(func(key string) string { return c.env[key] })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				return
			}
			c.want.Interval = got.Interval
			if err != nil || got != c.want || got.Interval <= 0 {
				t.Errorf("options %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}
