//go:build unix

package app

import "syscall"

// openFiles returns how many files this process may have open at once,
// connections included. The Go runtime has raised it to what is allowed.
func openFiles() (n uint64, ok bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true
}
