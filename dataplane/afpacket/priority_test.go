package afpacket

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAThreadIsPreferredAndNoOther(t *testing.T) {
	nice := func() int {
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return 20 - raw // as the system call returns it
	}
	preferred := make(chan int)
	go func() {
		runtime.LockOSThread() // and so the thread ends with this function
		if err := PreferThread(); err != nil {
			t.Error(err)
		}
		preferred <- nice()
	}()
	if got := <-preferred; got != workerNice {
		t.Errorf("the thread has nice %d, want %d", got, workerNice)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if got := nice(); got == workerNice {
		t.Error("another thread has the priority too")
	}
}
