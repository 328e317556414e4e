package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"lvsnat/dataplane"
)

// connections streams a listing of the table.
func (s *Server) connections(w http.ResponseWriter, r *http.Request) {
	if err := discardBody(w, r); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	filter, err := parseFilter(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	select {
	case s.listings <- struct{}{}:
		defer func() { <-s.listings }()
	case <-r.Context().Done():
		return
	}
	client := &patience{ResponseWriter: w, control: http.NewResponseController(w)}
	err = list(r.Context(), s.director, filter, client)
	if err != nil && !client.written {
		fail(w, statusOf(err), err)
		return
	}
	if err != nil {
		// The status is on its way already. Breaking off is the only way left
		// to tell, and http.ErrAbortHandler is net/http's word for it.
		panic(http.ErrAbortHandler)
	}
}

// list writes a Connections piece by piece, one connection a line. If it ends
// early, the document is not closed and nobody takes it for the whole.
func list(ctx context.Context, director Director, filter Filter, client *patience) error {
	out := bufio.NewWriterSize(client, 64<<10)
	// A bufio.Writer keeps its first error; Flush returns it.
	fmt.Fprintf(out, `{"version": %d, "connections": [`, Version)
	listed, complete := 0, true
	var failed error
	err := director.Connections(ctx, func(c dataplane.Connection) bool {
		if !filter.matches(c) {
			return true
		}
		if filter.Limit > 0 && listed == filter.Limit {
			complete = false
			return false
		}
		var line []byte
		if line, failed = json.Marshal(connectionOf(c)); failed != nil {
			return false
		}
		separator := ",\n"
		if listed == 0 {
			separator = "\n"
		}
		out.WriteString(separator)
		_, failed = out.Write(line)
		listed++
		return failed == nil
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	fmt.Fprintf(out, "\n], \"complete\": %t}\n", complete)
	return out.Flush()
}

// patience gives each write its own deadline: a long listing may take its time,
// a client that has stopped reading may not.
type patience struct {
	http.ResponseWriter
	control *http.ResponseController
	written bool // something has gone to the client
}

func (p *patience) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	if !p.written {
		p.written = true
		p.Header().Set("Content-Type", "application/json")
	}
	return p.ResponseWriter.Write(b)
}
