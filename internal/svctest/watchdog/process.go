package watchdog

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// Process is a server that a [Watchdog] watches.
type Process struct {
	*exec.Cmd
	Ended chan struct{} // closed when it has ended
}

// Run starts a server and returns when ready returns nil. If that takes longer
// than within, or the server ends by itself, the error has the end of its log.
// A server that still runs is returned beside the error, to be ended.
func (w *Watchdog) Run(
	cmd *exec.Cmd,
	within time.Duration,
	ready func() error,
	log func() string,
) (*Process, error) {
	name := filepath.Base(cmd.Path)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Cmd: cmd, Ended: make(chan struct{})}
	w.Watch(cmd.Process.Pid)
	go func() { _ = cmd.Wait(); close(p.Ended) }()
	for deadline := time.Now().Add(within); ; {
		err := ready()
		if err == nil {
			return p, nil
		}
		select {
		case <-p.Ended:
			w.Watch()
			return nil, fmt.Errorf("%s ended by itself: %s", name, log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return p, fmt.Errorf("%s is not ready after %s: %w; its log: %s", name, within, err, log())
		}
	}
}
