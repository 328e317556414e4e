// Package test holds the scenarios: real clients and servers, with a director
// between them, in the lab. They need root.
package test

import (
	"os"
	"testing"

	"lvsnat/test/lab/labtest"
)

func TestMain(m *testing.M) {
	os.Exit(labtest.Main(m))
}
