package transcript

import (
	"reflect"
	"testing"
)

const file = `# A remark.
# Another one.
> ipvsadm -R 'two words' ''
< -C
<
< -A -t 192.168.1.110:80
|   -> trailing spaces   
|
! a message
= 255

@ udp 192.168.1.254:5000 192.168.1.110:53

> ipvsadm
= 0
`

func TestAFileIsReadAndWrittenAsItIs(t *testing.T) {
	steps, err := Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{
			Line: 3, Remarks: []string{"A remark.", "Another one."},
			Command: []string{"ipvsadm", "-R", "two words", ""},
			Stdin:   "-C\n\n-A -t 192.168.1.110:80\n",
			Stdout:  "  -> trailing spaces   \n\n", Stderr: "a message\n", Exit: 255,
		},
		{Line: 12, Event: []string{"udp", "192.168.1.254:5000", "192.168.1.110:53"}},
		{Line: 14, Command: []string{"ipvsadm"}},
	}
	if !reflect.DeepEqual(steps, want) {
		t.Errorf("got  %+v\nwant %+v", steps, want)
	}
	again, err := Parse(Format(steps))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, want) {
		t.Errorf("written and read again: %+v\nwant %+v", again, want)
	}
}

func TestAMalformedFileIsRefused(t *testing.T) {
	for _, text := range []string{"| output before a command", "@ event\n= 0", "> command\n= x", "> command\n? what"} {
		if steps, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, steps)
		}
	}
}
