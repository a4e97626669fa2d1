package watchdog

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const isVictim = "SVCAUTH_TEST_VICTIM"

// NothingIsLeft runs the test that calls it once more, as a process that starts
// a server and is killed. It requires that neither the server's directory nor
// one of its processes is left. start starts the server, in its worst state,
// and returns its directory and its first process.
func NothingIsLeft(t *testing.T, start func() (dir string, pid int)) {
	t.Helper()
	if os.Getenv(isVictim) != "" {
		dir, pid := start()
		fmt.Println("victim", dir, pid)
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), isVictim+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var dir string
	var pid int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "victim" {
			dir = fields[1]
			pid, err = strconv.Atoi(fields[2])
			require.NoError(t, err)
		}
	}
	require.NotZero(t, pid, "the other process could not start its server")
	all := append(Children(pid), pid)
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && !AnyAlive(all)
	}, 60*time.Second, 50*time.Millisecond)
}
