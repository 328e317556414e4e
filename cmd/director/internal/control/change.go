package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"lvsnat/scheduler"
)

// change makes a handler of a request that carries one value.
func change[Q, A any](do func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var question Q
		if err := decodeBody(w, r, &question); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		value, err := do(ctx, question)
		if err != nil {
			fail(w, statusOf(err), err)
			return
		}
		reply(w, http.StatusOK, value)
	}
}

// decodeBody reads exactly one JSON value. Unknown keys are refused: a
// misspelt key would silently reset what it was meant to set.
func decodeBody(w http.ResponseWriter, r *http.Request, to any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the request: there is more than one value")
	}
	return nil
}

func (s *Server) state(ctx context.Context) (Wanted, error) {
	state, err := s.director.State(ctx)
	return state.wanted(), err
}

func (s *Server) replace(ctx context.Context, w Wanted) (Replaced, error) {
	state, err := w.state()
	if err != nil {
		return Replaced{}, err
	}
	revision, err := s.director.Replace(ctx, state)
	return Replaced{Version: Version, Revision: revision}, err
}

func (s *Server) zero(ctx context.Context, z Zero) (Done, error) {
	keys := make([]scheduler.Key, len(z.Services))
	for i, name := range z.Services {
		var err error
		if keys[i], err = name.key(); err != nil {
			return Done{}, fmt.Errorf("service %d: %w", i, err)
		}
	}
	return Done{Version: Version}, s.director.Zero(ctx, keys)
}
