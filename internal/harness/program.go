package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// InstallTypeScript copies the TypeScript SDK from its folder, as far as it is
// kept in git, and installs its packages in the copy.
func InstallTypeScript(ctx context.Context, source, dir string) error {
	for _, name := range []string{"src", "test"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(source, name))); err != nil {
			return err
		}
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil { //nolint:gosec // the folder is the test's own
			return err
		}
	}
	return InstallPackages(ctx, dir)
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
