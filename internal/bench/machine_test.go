package bench

import (
	"os"
	"testing"
)

func TestTheMountOfADirectoryIsTheLongest(t *testing.T) {
	mountinfo := []byte(`22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
24 22 0:21 / /tmp rw - tmpfs tmpfs rw
25 22 0:22 / /tmpfoo rw shared:2 master:1 - xfs /dev/vdb rw
26 22 0:23 / /stack rw - ext4 /dev/vdc rw
27 22 0:24 / /stack rw - btrfs /dev/vdd rw
malformed
`)
	for dir, want := range map[string]string{
		"/home/x":    "ext4 on /dev/vda",
		"/tmp":       "tmpfs on tmpfs",
		"/tmp/a/b":   "tmpfs on tmpfs",
		"/tmpfoo/a":  "xfs on /dev/vdb",
		"/tmpfoobar": "ext4 on /dev/vda",
		"/stack/a":   "btrfs on /dev/vdd",
	} {
		if got := matchMount(mountinfo, dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

func TestTheFsyncProbeLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	p50, err := probeFsync(dir, 5)
	if err != nil {
		t.Fatal(err)
	}
	if p50 <= 0 {
		t.Errorf("p50 of %v ms", p50)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnoughDescriptorsNeedNoChange(t *testing.T) {
	before := descriptorLimit()
	if err := needDescriptors(16); err != nil {
		t.Fatal(err)
	}
	if got := descriptorLimit(); got != before {
		t.Errorf("limit went from %d to %d", before, got)
	}
}
