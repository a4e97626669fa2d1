package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/apidoc"
)

// Leave tells load balancers and clients to send their requests elsewhere. From
// now on /readyz answers 503, and each answer is the last one of its
// connection. All else is served as before. Leave can't be undone.
func (s *Server) Leave() { s.leaving.Store(true) }

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

type liveness struct {
	Status string `json:"status" doc:"ok"`
}

type readiness struct {
	Dependencies map[string]string   `json:"dependencies" doc:"Of each dependency: ok, impaired or unavailable"`
	Failing      map[string][]string `json:"failing,omitempty" doc:"Of each that is impaired: the operations that fail"`
	Status       string              `json:"status" doc:"ok; degraded (a dependency fails, and clients that are known are served); unavailable (no client at all would get a token); stopping"`
}

// describeProbes returns what the probes answer.
func describeProbes() []apidoc.Endpoint {
	return []apidoc.Endpoint{{
		ID: "getHealth", Method: http.MethodGet, Path: healthPath, Tag: apidoc.TagHealth,
		Summary:     "Ask whether the process lives",
		Description: "It says 200 for as long as the process answers at all. It asks no dependency.",
		Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "It lives", Contents: []apidoc.Content{{
			Media: apidoc.JSONType, Type: liveness{}, Example: liveness{"ok"},
		}}}},
	}, {
		ID: "getReadiness", Method: http.MethodGet, Path: readyPath, Tag: apidoc.TagHealth,
		Summary: "Ask whether this node should get traffic",
		Answers: []apidoc.Answer{
			{Status: http.StatusOK, Text: "It serves, also if it says `degraded`", Contents: []apidoc.Content{{
				Media: apidoc.JSONType, Type: readiness{},
				Example: readiness{Dependencies: map[string]string{"database": "ok", "redis": "ok"}, Status: "ok"},
			}}},
			{Status: http.StatusServiceUnavailable, Text: "It does not: it is `unavailable` or `stopping`",
				Contents: []apidoc.Content{{Media: apidoc.JSONType, Type: readiness{}, Example: readiness{
					Dependencies: map[string]string{"database": "unavailable"}, Status: "unavailable",
				}}}},
		},
	}}
}

// Healthz answers that this node is alive.
func (s *Server) Healthz(w http.ResponseWriter, _ *http.Request) {
	probed(w, http.StatusOK, liveness{"ok"})
}

func probed(w http.ResponseWriter, status int, answer any) {
	body, _ := json.Marshal(answer)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// lookFor bounds how long a look at the dependencies takes. A load balancer
// waits a second or two and then takes a node for dead.
const lookFor = 500 * time.Millisecond

// Readyz answers whether this node should get traffic: whether it serves at
// least the clients that it knows, and is not about to stop.
//
// A database that is away is away for all nodes. If each asked for no traffic
// then, a load balancer would turn away all clients, though any node could
// still serve them (token.serve_stale). Callers that ask at once share one
// look, so strangers cost the database nothing.
func (s *Server) Readyz(w http.ResponseWriter, r *http.Request) {
	type look struct {
		serves bool
		states map[string]map[string]error
	}
	shared, _, _ := s.probe.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), lookFor)
		defer cancel()
		serves, states := s.cfg.Ready(ctx)
		return look{serves, states}, nil
	})
	found := shared.(look)
	text, status, states, failing := "ok", http.StatusOK, map[string]string{}, map[string][]string{}
	for name, operations := range found.states {
		states[name] = "ok"
		fail := failed(operations)
		switch len(fail) {
		case 0:
			continue
		case len(operations):
			states[name] = "unavailable"
		default:
			states[name], failing[name] = "impaired", fail
		}
		text = "degraded"
	}
	switch {
	case s.leaving.Load():
		text, status = "stopping", http.StatusServiceUnavailable
	case !found.serves:
		text, status = "unavailable", http.StatusServiceUnavailable
	}
	probed(w, status, readiness{Dependencies: states, Failing: failing, Status: text})
}

// failed returns the names of the operations that fail, sorted.
func failed(operations map[string]error) (names []string) {
	for name, err := range operations {
		if err != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
