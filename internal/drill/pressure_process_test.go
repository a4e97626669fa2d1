package drill_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Callers are processes of their own: this test binary starts itself again. In
// production each has a machine of its own, and so has the node; here all share
// two processors, and what one waits for a processor that the others hold must
// not look like slowness of the node. Where the system lets it, the drill
// therefore gives the processors to the right clients first, who need little,
// then to the node, and to those who press what is left. That saturates the
// node all the same: the drill says how much they get done and how busy the
// node is.
const callerVariable = "DRILL_CALLER"

// job is what a caller is to do. It is the first line that it reads.
type job struct {
	Kind    string // of plays
	Addr    string // of the node
	From    []string
	Count   int    // connections
	Begin   string // what is sent on each
	Trickle string // read or write: once a second a little of it
	// Requests are sent in turn by those who repeat them.
	Requests []string
	Clients  []credential
	Mayfail  bool // of those who hold: the node may hang up on some
	Networks int  // from how many those guess who guess passwords
}

type credential struct{ ID, Secret string }

// result is what came of it.
type result struct {
	Asked, Refused int // refused: any answer but the right one
	P50, P99       time.Duration
	Took           time.Duration
	Each           []time.Duration // how long each took, sorted
	Statuses       map[int]int
	Complaint      string // of the first thing that should not have been
}

func (r *result) complain(format string, args ...any) {
	if r.Complaint == "" {
		r.Complaint = fmt.Sprintf(format, args...)
	}
}

// orders are the lines after the job: each wants one answer.
type order struct {
	For time.Duration
	Of  int // for those who ask many: how many clients, from the first that was not asked yet
}

// playHere is what this process does if it was started as a caller. It
// returns its exit status.
func playHere() int {
	if err := play(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "caller:", err)
		return 1
	}
	return 0
}

// play is a caller's whole life: it says when it is ready, then does what it is
// told until its standard input ends.
func play(in io.Reader, out io.Writer) error {
	lines, answers := json.NewDecoder(bufio.NewReaderSize(in, 1<<20)), json.NewEncoder(out)
	var j job
	if err := lines.Decode(&j); err != nil {
		return err
	}
	do, stop, err := begin(j)
	if err != nil {
		return err
	}
	defer stop()
	for answer := (result{}); ; {
		if err := answers.Encode(answer); err != nil {
			return err
		}
		var o order
		if err := lines.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		answer = do(o)
	}
}

// caller is such a process, seen from the test.
type caller struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	orders  *json.Encoder
	answers *json.Decoder
}

// turn is when a process gets a processor that others want too, in the words of
// chrt.
type turn []string

var (
	first  = turn{"--rr", "2"}
	second = turn{"--rr", "1"}
	last   = turn{"--other", "0"}
)

// take gives the node its turn. If that is not allowed, it stays as it is.
func (n *node) take(when turn) { when.give(n.cmd.Process.Pid) }

// give gives processes their turn, and with it those that they start later.
func (when turn) give(pids ...int) {
	for _, pid := range pids {
		_ = exec.Command("chrt", "--all-tasks", when[0], "--pid", when[1], fmt.Sprint(pid)).Run()
	}
}

// call starts a caller and waits until it is ready.
func call(t *testing.T, when turn, j job) *caller {
	t.Helper()
	if exec.Command("chrt", append(slices.Clone(when), "true")...).Run() != nil {
		when = last // not everybody may come first
	}
	self, err := os.Executable()
	require.NoError(t, err)
	c := &caller{t: t, cmd: exec.Command("chrt", append(slices.Clone(when), self)...)}
	c.cmd.Env = append(os.Environ(), callerVariable+"=1")
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.in, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(c.hangUp)
	c.orders, c.answers = json.NewEncoder(c.in), json.NewDecoder(bufio.NewReader(out))
	require.NoError(t, c.orders.Encode(j))
	c.answer()
	return c
}

func (c *caller) order(o order) {
	c.t.Helper()
	require.NoError(c.t, c.orders.Encode(o))
}

func (c *caller) answer() (r result) {
	c.t.Helper()
	process := c.cmd.Process
	late := time.AfterFunc(3*time.Minute, func() { _ = process.Kill() })
	defer late.Stop()
	require.NoError(c.t, c.answers.Decode(&r), "a caller ended, or did not answer")
	require.Empty(c.t, r.Complaint)
	return r
}

// ask is order and answer.
func (c *caller) ask(o order) result {
	c.t.Helper()
	c.order(o)
	return c.answer()
}

// hangUp ends the caller, and with it all its connections.
func (c *caller) hangUp() {
	if c.cmd != nil {
		_ = c.in.Close()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}
