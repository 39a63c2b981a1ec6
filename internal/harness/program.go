package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
)

// Install brings what tests need and this machine lacks, once.
func Install() error { return install() }

var install = sync.OnceValue(func() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if out, err := exec.Command(filepath.Join(root, ".ci", "install")).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// InstallPackages installs the packages of npm that the lock file in a folder
// names, with its versions and checksums.
func InstallPackages(ctx context.Context, dir string) error {
	npm, err := Program("npm")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return nil
}

// Program finds a program by the names that it goes by, and has it installed if
// it is missing and can be. The error says what is to be done.
func Program(names ...string) (string, error) {
	find := func() string {
		for _, name := range names {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	path := find()
	if path != "" {
		return path, nil
	}
	err := install()
	if path = find(); path != "" {
		return path, nil
	}
	return "", errors.Join(fmt.Errorf("this test needs %s", names[0]), err)
}
