package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"holdline/api"
)

// passwordFlags say where a new password comes from. It is never an argument,
// since arguments are for all to see in the list of processes.
type passwordFlags struct {
	PasswordFile string `placeholder:"FILE" help:"File whose first line is the password. Without this it is asked for, or read as one line from standard input when that is not a terminal."`
}

// longestLine is more than any password may have.
const longestLine = 4 * api.MaxPasswordBytes

func (f *passwordFlags) read(c *console) (string, error) {
	var word string
	var err error
	switch {
	case f.PasswordFile != "":
		word, err = readPasswordFile(f.PasswordFile)
	case term.IsTerminal(int(c.in.Fd())):
		word, err = ask(c)
	default:
		word, err = firstLine(c.in)
	}
	if err != nil {
		return "", err
	}
	return word, plain(api.CheckPassword(word))
}

func readPasswordFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read from
	return firstLine(f)
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, longestLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err // which names the file
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// ask reads a password twice without showing it.
func ask(c *console) (string, error) {
	var words [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(c.err, prompt)
		word, err := term.ReadPassword(int(c.in.Fd()))
		fmt.Fprintln(c.err)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		words[i] = string(word)
	}
	if words[0] != words[1] {
		return "", errors.New("the two passwords are not the same; nothing was changed")
	}
	return words[0], nil
}
