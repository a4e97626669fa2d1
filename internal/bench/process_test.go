package bench_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	// roleVariable makes this test binary be one of the servers that are
	// measured.
	roleVariable = "BENCH_ROLE"
	// privilegesVariable says what the accounts of svcauth hold, if not the
	// usual.
	privilegesVariable = "BENCH_PRIVILEGES"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "bare":
		exit(profiled(role, serveBare))
	case "svcauth":
		exit(profiled(role, serveSvcauth))
	}
	os.Exit(m.Run())
}

// profileVariable names a directory in which each measured server leaves a
// profile of its processor time.
const profileVariable = "BENCH_PROFILE"

func profiled(role string, serve func() error) error {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return serve()
	}
	out, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", role, os.Getpid())))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return serve()
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// hello is what a server says of itself when it listens.
type hello struct {
	Addr     string
	Accounts []credential
}

type credential struct{ ID, Secret string }

func (h hello) say() error { return json.NewEncoder(os.Stdout).Encode(h) }

// serveBare signs one ES256 JWT a request through golang-jwt, with claims as an
// RFC 9068 token has them, and writes as many bytes as asked. At floorPath it
// reads the form and writes so many bytes, and does nothing else.
func serveBare() error {
	size, err := strconv.Atoi(os.Getenv("BENCH_SIZE"))
	if err != nil {
		return err
	}
	engine, err := bareHandler(size)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := (hello{Addr: listener.Addr().String()}).say(); err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, engine) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// floorPath is where the bare server shows what any answer costs.
const floorPath = "/floor"

func bareHandler(size int) (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	verify, err := bareVerify()
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	fixed := bytes.Repeat([]byte(" "), size)
	engine.POST(floorPath, func(c *gin.Context) {
		if c.PostForm("grant_type") == "" {
			c.Status(http.StatusBadRequest)
			return
		}
		c.Data(http.StatusOK, "application/json", fixed)
	})
	engine.POST("/oauth2/token", func(c *gin.Context) {
		now := time.Now()
		if err := verify(c.PostForm("client_assertion")); err != nil {
			c.String(http.StatusUnauthorized, "%s", err)
			return
		}
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256,
			jwt.RegisteredClaims{Issuer: "http://127.0.0.1:8080", Subject: "sa_01h455vb4pex5vsknk084sn02q",
				Audience: jwt.ClaimStrings{"https://api.cloud.example"}, ID: "b9sbN0lYQ0aRk2nJt3m8xw",
				IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour))}).SignedString(key)
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(http.StatusOK, "application/json", []byte(text+strings.Repeat(" ", max(0, size-len(text)))))
	})
	return engine, nil
}

// serveSvcauth runs the whole server, with its request log, as its environment
// configures it.
func serveSvcauth() error {
	cfg, err := config.Load(config.LoadOptions{Environ: os.Environ()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log, err := os.Create(os.Getenv("BENCH_LOG"))
	if err != nil {
		return err
	}
	// The first minutes of a process, in which the one before it may have seen
	// an assertion, are not what is measured.
	began := atomic.Bool{}
	clock := func() time.Time {
		if began.Load() {
			return time.Now()
		}
		return time.Now().Add(-10 * time.Minute)
	}
	a, err := app.New(ctx, cfg, app.Options{Version: "bench", Log: log, Clock: clock})
	if err != nil {
		return err
	}
	var h hello
	if wanted := os.Getenv("BENCH_ACCOUNTS"); wanted != "" { // else the database has its accounts already
		if h.Accounts, err = makeAccounts(ctx, a, wanted); err != nil {
			return err
		}
	}
	began.Store(true)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return a.Run(ctx, func(at net.Addr) {
		time.Sleep(2 * time.Second) // until the node has read the change log by the new time
		h.Addr = at.String()
		_ = h.say()
	})
}

// bindingVariable is what the tokens of all accounts but the first must be bound
// to.
const bindingVariable = "BENCH_BINDING"

func bindingOf(account int) string {
	if account == 0 {
		return ""
	}
	return os.Getenv(bindingVariable)
}

func makeAccounts(ctx context.Context, a *app.App, wanted string) (made []credential, err error) {
	count, err := strconv.Atoi(wanted)
	if err != nil {
		return nil, err
	}
	tenant, err := a.People.Bootstrap(ctx, people.NewTenant{AdminEmail: "admin@example.com"})
	if err != nil {
		return nil, err
	}
	admin := access.WithActor(ctx, access.System(tenant.Organization.ID))
	privileges := strings.Fields(cmp.Or(os.Getenv(privilegesVariable), "clusters:view clusters:edit"))
	role, err := a.Access.CreateRole(admin, svcauth.NewRole{Name: "Operator", Privileges: privileges})
	if err != nil {
		return nil, err
	}
	for i := range count {
		account, err := a.Access.CreateServiceAccount(admin, svcauth.NewServiceAccount{
			Name: fmt.Sprint("bench ", i), RoleIDs: []string{role.ID}, TokenBinding: bindingOf(i)})
		if err != nil {
			return nil, err
		}
		if public := os.Getenv(keyVariable); public != "" {
			if err := addCredentials(admin, a, account.ID, public); err != nil {
				return nil, err
			}
		}
		made = append(made, credential{account.ClientID, account.ClientSecret.Reveal()})
	}
	return made, nil
}

// process is a server under measurement.
type process struct {
	hello
	cmd *exec.Cmd
	end func() // stops it; may be called twice
}

func startProcess(b *testing.B, role string, environ ...string) *process {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	p := &process{cmd: exec.Command(self)}
	p.cmd.Env = append(append(os.Environ(), roleVariable+"="+role), environ...)
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(b, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, p.cmd.Start())
	p.end = sync.OnceFunc(func() {
		_ = stdin.Close() // its end of the pipe is its sign to stop
		_ = p.cmd.Wait()
	})
	b.Cleanup(p.end)
	line, err := bufio.NewReaderSize(stdout, 8<<20).ReadBytes('\n')
	require.NoError(b, err, "the %s server did not start", role)
	require.NoError(b, json.Unmarshal(line, &p.hello))
	return p
}

// memory is what the process holds of the machine's, in bytes: "VmRSS" now,
// "VmHWM" at most so far.
func (p *process) memory(b *testing.B, which string) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, which+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			require.NoError(b, err)
			return float64(kib) * 1024
		}
	}
	b.Fatal("no ", which)
	return 0
}

// cpu is the processor time that the process has used, in user and system mode.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(b, err)
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	require.NoError(b, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(b, err)
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
}
