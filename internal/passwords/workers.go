package passwords

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// restAfterFailure is how long no process is started after one failed, so that
// a machine which allows none isn't asked for each password.
const restAfterFailure = time.Minute

// workers are the processes that hash.
type workers struct {
	command []string
	logger  *slog.Logger
	idle    chan *worker // as many as may run; nil stands for one not started

	mu     sync.Mutex
	closed bool
	until  time.Time // nothing is started before
}

func newWorkers(command []string, atOnce int, logger *slog.Logger) *workers {
	w := &workers{command: command, logger: logger, idle: make(chan *worker, atOnce)}
	for range atOnce {
		w.idle <- nil
	}
	return w
}

// run has a process do the job. It returns false if none could.
func (w *workers) run(j job) (sum []byte, ok bool) {
	one := <-w.idle
	defer func() { w.idle <- one }()
	if one == nil {
		if one = w.start(); one == nil {
			return nil, false
		}
	}
	sum, err := one.ask(j)
	if err != nil {
		w.failed(err)
		one.end()
		one = nil
		return nil, false
	}
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
		w.failed(err)
	}
	return one
}

func (w *workers) failed(err error) {
	w.mu.Lock()
	w.until = time.Now().Add(restAfterFailure)
	w.mu.Unlock()
	w.logger.Warn("passwords are hashed in the server's own process for a minute, where many at once slow tokens down: the process that hashes them failed", "error", err.Error())
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
	cmd *exec.Cmd
	in  io.WriteCloser
	ask func(job) ([]byte, error)
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
	jobs, sums := json.NewEncoder(in), json.NewDecoder(out)
	ask := func(j job) (sum []byte, err error) {
		if err := jobs.Encode(j); err != nil {
			return nil, err
		}
		if err := sums.Decode(&sum); err != nil {
			return nil, err
		}
		if len(sum) != sumSize {
			return nil, errors.New("it answered with something that is no hash")
		}
		return sum, nil
	}
	return &worker{cmd, in, ask}, nil
}

func (w *worker) end() {
	_ = w.in.Close()
	_ = w.cmd.Process.Kill() // it holds nothing that could be lost
	_ = w.cmd.Wait()
}

// Work is what such a process does: it hashes what comes in, at the lowest
// priority, until in ends. It returns an error if a job can't be read or its
// sum not be written.
func Work(in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the server says when: it may still have passwords to check
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
