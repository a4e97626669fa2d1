package drill_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

func moduleRoot() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(root)), nil
}

func build(path string, flags ...string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append([]string{"build", "-o", path}, append(flags, "./cmd/svcauth")...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build svcauth: %w: %s", err, out)
	}
	return nil
}

func writeOverlay(dir string, replaced map[string]string) (string, error) {
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o644)
}

// built is where this run's programs are.
var built struct {
	sync.Mutex
	dir   string
	paths map[string]string
}

// program builds the real binary, once for the test binary.
func program() (string, error) { return buildOnce("svcauth", nil) }

// buildOnce builds a variant of the program: some of its files replaced by
// others (go build -overlay), and flags.
func buildOnce(name string, overlay func(dir string) (map[string]string, error), flags ...string) (string, error) {
	built.Lock()
	defer built.Unlock()
	if path := built.paths[name]; path != "" {
		return path, nil
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "svcauth-drill-")
		if err != nil {
			return "", err
		}
		built.dir, built.paths = dir, map[string]string{}
	}
	dir := filepath.Join(built.dir, name+"-build")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if overlay != nil {
		replaced, err := overlay(dir)
		if err != nil {
			return "", err
		}
		file, err := writeOverlay(dir, replaced)
		if err != nil {
			return "", err
		}
		flags = append(flags, "-overlay", file)
	}
	path := filepath.Join(built.dir, name)
	if err := build(path, flags...); err != nil {
		return "", err
	}
	built.paths[name] = path
	return path, nil
}
