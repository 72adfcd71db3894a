package process

import (
	"fmt"
	"os"
	"os/exec"
)

// BuildCaddy builds ./cmd/caddy, as users have it, from the project's folder.
func BuildCaddy(path string) error {
	fmt.Fprintln(os.Stderr, "building", path)
	c := exec.Command("go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", path, "./cmd/caddy")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building %s (from the project's folder): %w", path, err)
	}
	return nil
}
