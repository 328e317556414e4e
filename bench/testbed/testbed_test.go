package testbed

import "testing"

func TestDropsOfInputQueuesAreAddedUp(t *testing.T) {
	got, err := parseSoftnet("000000ff 0000000a 00000001 0 0 0\n00000001 00000010 00000000 0 0 0\n")
	if err != nil || got != 26 {
		t.Errorf("got %d, %v, want 26", got, err)
	}
	for _, text := range []string{"12\n", "1 x 3\n"} {
		if _, err := parseSoftnet(text); err == nil {
			t.Errorf("%q was understood", text)
		}
	}
}

func TestAbilitiesAreCompared(t *testing.T) {
	if !(Streams | Forged).Includes(Forged) || Streams.Includes(Streams|Forged) || !Streams.Includes(0) {
		t.Error("abilities are compared wrongly")
	}
}
