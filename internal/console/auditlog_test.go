package console_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/console"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The audit log is asked for by the names that people know, and a mistyped one
// gets a message at its field.
func TestTheAuditLogIsAskedByNames(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for _, name := range []string{"one", "two"} {
		_, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: name})
		require.NoError(t, err)
	}
	p := admin(t, s)
	for query, want := range map[string]string{
		"target=one": "role.<wbr>create", "actor=Admin@Example.com&action=role.*": "role.<wbr>create",
		"action=secret.%2Crole.create": "role.<wbr>create", "action=role.create&action=role.delete": "role.<wbr>create",
		"action=role.delete": "No event matches these filters",
	} {
		a := p.get("/console/audit-log?" + query)
		require.Equal(t, http.StatusOK, a.status, query)
		require.Contains(t, a.body, want, query)
	}
	require.NotContains(t, p.get("/console/audit-log?target=one").body, ">two<")
	for query, want := range map[string]string{
		"action=role.creat":        "did you mean role.create",
		"actor=nobody@example.com": "Nobody and nothing in the audit log is called",
		"target=mem_1":             "Nobody and nothing in the audit log is called",
	} {
		a := p.get("/console/audit-log?" + query)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, query)
		require.Contains(t, a.body, want, query)
		require.Contains(t, a.body, `-wrong">`, query)
	}
}

// What the page shows can be had as a file: all of it, not one page, and as
// harmless in a spreadsheet as it is there.
func TestTheAuditLogIsExported(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	const evil = `=HYPERLINK("http://evil.example","x")`
	_, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: evil})
	require.NoError(t, err)
	const roles = 250 // more than one page of the store
	for i := range roles {
		if i == 0 || i == roles-1 { // events of one millisecond are in no order
			time.Sleep(2 * time.Millisecond)
		}
		_, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: fmt.Sprint("role, \"", i, "\"")})
		require.NoError(t, err)
	}
	p := admin(t, s)
	require.Contains(t, p.get("/console/audit-log?action=role.create").body,
		"/console/audit-log/export?action=role.create&amp;format=csv")
	a := p.get("/console/audit-log/export?action=role.create&format=csv")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "text/csv; charset=utf-8; header=present", a.header.Get("Content-Type"))
	require.Regexp(t, `^attachment; filename="audit-log-20\d\d-[0-9TZ-]+\.csv"$`, a.header.Get("Content-Disposition"))
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+1+roles)
	require.Equal(t, []string{"time", "id", "count", "actor"}, rows[0][:4])
	require.Equal(t, `role, "249"`, rows[1][8])
	require.Equal(t, "'"+evil, rows[len(rows)-1][8])

	a = p.get("/console/audit-log/export?action=role.create&format=json-lines")
	require.Equal(t, "application/x-ndjson", a.header.Get("Content-Type"))
	lines := 0
	for line := range strings.Lines(a.body) {
		var e svcauth.AuditEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.Equal(t, "role.create", e.Action)
		lines++
	}
	require.Equal(t, 1+roles, lines)
	for _, query := range []string{"format=xml", "format=csv&action=role.creat", "format=csv&since=yesterday"} {
		require.Equal(t, http.StatusUnprocessableEntity, p.get("/console/audit-log/export?"+query).status, query)
	}
	require.Equal(t, http.StatusSeeOther, visit(t, s).get("/console/audit-log/export?format=csv").status)
}

// beginExport begins an export that waits for two seconds before its second
// page.
func beginExport(t *testing.T) (p *person, export *http.Response) {
	t.Helper()
	t.Cleanup(console.SetExportPace(2 * time.Second)) // before a server runs, and after it has ended
	s := svctest.New(t, svctest.Options{})
	for i := range svcauth.MaxPageSize + 1 {
		_, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: fmt.Sprint("role ", i)})
		require.NoError(t, err)
	}
	p = admin(t, s)
	req, err := http.NewRequest(http.MethodGet, s.URL+"/console/audit-log/export?format=csv", nil)
	require.NoError(t, err)
	export, err = p.http.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, export.StatusCode)
	return p, export
}

// Whoever may no longer read the audit log gets no further page of an export.
func TestAnExportEndsWithItsSession(t *testing.T) {
	p, export := beginExport(t)
	require.Equal(t, http.StatusSeeOther, p.post("/console/sign-out", nil).status)
	text, err := io.ReadAll(export.Body)
	require.Error(t, err, "the file is not whole")
	require.Equal(t, 1+svcauth.MaxPageSize, strings.Count(string(text), "\r\n"), "the head and the first page")
}

// An organization has one export at a time, and others go on meanwhile.
func TestExportsAreBounded(t *testing.T) {
	p, first := beginExport(t)
	second := p.get("/console/audit-log/export?format=csv")
	require.Equal(t, http.StatusTooManyRequests, second.status)
	require.NotEmpty(t, second.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, p.get("/console/audit-log").status)
	require.NoError(t, first.Body.Close())
	require.Eventually(t, func() bool {
		return p.get("/console/audit-log/export?format=json-lines&action=member.sign_in").status == http.StatusOK
	}, 30*time.Second, 100*time.Millisecond)
}
