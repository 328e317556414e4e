package scheduler

import "fmt"

// heaviest gives every connection to the server with the greatest weight: all
// that a new algorithm needs is a type with Pick, in a file of its own.
type heaviest struct{}

func (heaviest) Pick(servers []*Realserver, _ Client) *Realserver {
	var greatest *Realserver
	for _, rs := range servers {
		if rs.eligible() && (greatest == nil || rs.Weight() > greatest.Weight()) {
			greatest = rs
		}
	}
	return greatest
}

// A new algorithm is one file with a Scheduler and one line in the table of
// constructors, which this example adds for itself.
func ExampleScheduler() {
	constructors["heaviest"] = func(Options) Scheduler { return heaviest{} }
	defer delete(constructors, "heaviest")

	var set Set
	if err := set.Apply([]ServiceSpec{spec("heaviest", "10.1.1.2*3", "10.1.1.3*1")}); err != nil {
		fmt.Println(err)
		return
	}
	rs, _ := set.Snapshot().Services()[0].Pick(Client{})
	fmt.Printf("10.1.1.%d\n", byte(rs.Addr))
	// Output: 10.1.1.2
}
