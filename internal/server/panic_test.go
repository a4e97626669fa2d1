package server_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/server"
)

// statsOf is an observer that keeps all it is told.
type statsOf []server.RequestStats

func (s *statsOf) RequestAnswered(one server.RequestStats) { *s = append(*s, one) }

// A handler that panics costs its own request only. The metrics count it apart
// from other failures, and the log has where it happened.
func TestPanicIsCountedAndSaid(t *testing.T) {
	var log bytes.Buffer
	var seen statsOf
	_, handler := frame(t, server.Config{
		Issuer: "http://localhost:8080", Logger: slog.New(slog.NewJSONHandler(&log, nil)),
		Observer: &seen,
		Console: pages(func(engine gin.IRouter) {
			engine.GET("/console/early", func(*gin.Context) { panic("early") })
			engine.GET("/console/late", func(c *gin.Context) { c.String(http.StatusOK, "begun"); panic("late") })
		}),
	}, oauth.Config{}, manage.Config{})
	for path, status := range map[string]int{"/console/early": 500, "/console/late": 200} {
		seen = nil
		log.Reset()
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, status, answer.Code)
		require.Len(t, seen, 1)
		require.Equal(t, server.RequestStats{
			Route: path, Method: http.MethodGet, Status: status, Code: "panic",
			Reason: seen[0].Reason, Took: seen[0].Took,
		}, seen[0])
		require.Contains(t, log.String(), `"msg":"a handler panicked"`)
		require.Contains(t, log.String(), "panic_test.go")
		require.NotContains(t, answer.Body.String(), "panic_test.go")
	}
}
