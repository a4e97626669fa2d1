package passwords

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
)

// restAfterFailure is how long no process is started after one that never
// answered, so that a machine which allows none isn't asked for each password.
const restAfterFailure = time.Minute

// patienceAtEnd is how long a process that was killed is waited for. The kernel
// may hold one for longer, as in a read of a disk that is gone.
const patienceAtEnd = time.Second

// workers are the processes that hash.
type workers struct {
	command []string
	limit   time.Duration // of an answer
	logger  *slog.Logger
	idle    chan *worker // as many as may run; nil stands for one not started

	mu     sync.Mutex
	closed bool
	until  time.Time // nothing is started before
}

func newWorkers(command []string, atOnce int, limit time.Duration, logger *slog.Logger) *workers {
	w := &workers{command: command, limit: limit, logger: logger, idle: make(chan *worker, atOnce)}
	for range atOnce {
		w.idle <- nil
	}
	return w
}

// run has a process do the job. It returns false if none could within the
// limit: that process is killed, and another takes its place.
func (w *workers) run(j job) (sum []byte, ok bool) {
	one := <-w.idle
	defer func() { w.idle <- one }()
	if one == nil {
		if one = w.start(); one == nil {
			return nil, false
		}
	}
	sum, err := one.ask(j, w.limit)
	if err != nil {
		w.failed(err, one.answered)
		one.end()
		one = nil
		return nil, false
	}
	one.answered = true
	return sum, true
}

// start returns a process, or nil if there is none.
func (w *workers) start() *worker {
	w.mu.Lock()
	rests := w.closed || time.Now().Before(w.until)
	w.mu.Unlock()
	if rests {
		return nil
	}
	one, err := newWorker(w.command)
	if err != nil {
		w.failed(err, false)
	}
	return one
}

// failed says that a process failed. No other is started for a while, unless
// this one had answered before: then its like can.
func (w *workers) failed(err error, answered bool) {
	if answered {
		w.logger.Warn(
			"the process that hashes passwords failed; the server hashed this one itself, and starts "+
				"another process for the next",
			"error", err.Error(),
		)
		return
	}
	w.mu.Lock()
	w.until = time.Now().Add(restAfterFailure)
	w.mu.Unlock()
	w.logger.Warn(
		"passwords are hashed in the server's own process for a minute, where many at once slow tokens "+
			"down: the process that hashes them failed",
		"error", err.Error(),
	)
}

// close ends the processes once they are idle, and starts none any more.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	for range cap(w.idle) {
		if one := <-w.idle; one != nil {
			one.end()
		}
	}
	for range cap(w.idle) {
		w.idle <- nil
	}
}

// worker is one such process: a job goes in, a sum comes out.
type worker struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      io.ReadCloser
	jobs     *json.Encoder
	sums     *json.Decoder
	answered bool
}

// newWorker starts a process. Nothing of this one's environment goes along, for
// secrets may stand there.
func newWorker(command []string) (*worker, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{"GOMAXPROCS=1"}
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &worker{cmd: cmd, in: in, out: out, jobs: json.NewEncoder(in), sums: json.NewDecoder(out)}, nil
}

// ask has the process do a job within a limit. If it returns an error the
// process is of no use any more, and the caller must end it.
func (w *worker) ask(j job, limit time.Duration) (sum []byte, err error) {
	timer := time.AfterFunc(limit, func() { // no longer read from, nor written to
		_ = w.in.Close()
		_ = w.out.Close()
	})
	err = w.jobs.Encode(j)
	if err == nil {
		err = w.sums.Decode(&sum)
	}
	switch {
	case !timer.Stop():
		return nil, fmt.Errorf("it gave no answer within %s", timespan.Text(limit))
	case err != nil:
		return nil, err
	case len(sum) != sumSize:
		return nil, errors.New("it answered with something that is no hash")
	}
	return sum, nil
}

// end kills the process, and what it has started: nothing could be lost.
func (w *worker) end() {
	_ = w.in.Close()
	killGroup(w.cmd)
	gone := make(chan struct{})
	go func() {
		_ = w.cmd.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(patienceAtEnd):
	}
}

// Work is what such a process does: it hashes what comes in, at the lowest
// priority, until in ends. It returns an error if a job can't be read or its
// sum not be written.
func Work(in io.Reader, out io.Writer) error {
	// The server says when to end: it may still have passwords to check.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	yieldToOthers()
	jobs, sums := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		switch err := jobs.Decode(&j); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := sums.Encode(j.run()); err != nil {
			return err
		}
		clear(j.Password)
		debug.FreeOSMemory()
	}
}
