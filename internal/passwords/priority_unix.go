//go:build unix

package passwords

import (
	"os/exec"
	"syscall"
)

// lowest is the nice value that gives way to everything else.
const lowest = 19

// apart puts the process into a group of its own: a terminal's Ctrl-C is for
// the server, and a priority can be set for all its threads at once.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// yieldToOthers gives this process, which apart put apart, the lowest priority.
// Where that is forbidden it works on at the one that it has. On Linux each
// thread has its own: a group's are set together, later threads inherit it.
func yieldToOthers() { _ = syscall.Setpriority(syscall.PRIO_PGRP, 0, lowest) }

// killGroup kills the process, which apart put apart, with all that it started,
// stopped or not. It must not have been waited for.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
