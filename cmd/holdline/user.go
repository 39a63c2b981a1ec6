package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"holdline/api"
	"holdline/store"
)

type userCmd struct {
	Add         userAddCmd         `cmd:"" help:"Make an account."`
	Passwd      userPasswdCmd      `cmd:"" help:"Set an account's password. All its sessions end."`
	List        userListCmd        `cmd:"" help:"List the accounts."`
	Disable     userDisableCmd     `cmd:"" help:"Lock an account: its sessions end, and it can neither sign in nor send."`
	Enable      userEnableCmd      `cmd:"" help:"Unlock an account that was disabled: it can sign in again."`
	EndSessions userEndSessionsCmd `cmd:"" help:"Sign an account out everywhere."`
}

// accountCmd is what all of them share.
type accountCmd struct {
	databaseFlags
	logFlags
}

// with runs fn on the store. Sweeps make what it does known to running servers.
func (a *accountCmd) with(ctx context.Context, c *console, mustExist bool, fn func(*store.Store) error) error {
	log := a.logger(c)
	b, err := a.open(ctx, log, mustExist)
	if err != nil {
		return err
	}
	s, err := store.New(ctx, b, store.Options{Logger: log})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	return errors.Join(plain(fn(s)), s.Close())
}

// plain says a store's error without its code, which is for programs.
func plain(err error) error {
	var e *store.Error
	if !errors.As(err, &e) || e.Err != nil {
		return err
	}
	if e.Field != "" {
		return fmt.Errorf("%s: %s", e.Field, e.Message)
	}
	return errors.New(e.Message)
}

// withUser is with for an account that there is.
func (a *accountCmd) withUser(ctx context.Context, c *console, handle string, fn func(*store.Store, store.User) error) error {
	return a.with(ctx, c, true, func(s *store.Store) error {
		user, err := s.UserByHandle(ctx, handle)
		if store.CodeOf(err) == store.CodeNotFound {
			return fmt.Errorf("there is no account %q; \"holdline user list\" lists them", handle)
		}
		if err != nil {
			return err
		}
		return fn(s, user)
	})
}

type userAddCmd struct {
	accountCmd
	passwordFlags
	Handle      string `arg:"" help:"2 to 32 of a-z 0-9 _ . -"`
	DisplayName string `placeholder:"NAME" help:"What others are shown, at most 64 characters. The handle by default."`
	Owner       bool   `help:"Make the account an owner of the server."`
}

// Run makes the account.
func (u *userAddCmd) Run(ctx context.Context, c *console) error {
	if !store.ValidHandle(u.Handle) {
		return usagef("a handle has %d to %d of the characters a-z 0-9 _ . - and %q does not fit that", store.MinHandleChars, store.MaxHandleChars, u.Handle)
	}
	word, err := u.read(c)
	if err != nil {
		return err
	}
	role := store.RoleUser
	if u.Owner {
		role = store.RoleOwner
	}
	name := u.DisplayName
	if name == "" {
		name = u.Handle
	}
	return u.with(ctx, c, false, func(s *store.Store) error {
		user, err := s.CreateUser(ctx, store.NewUser{Handle: u.Handle, DisplayName: name, PasswordHash: api.HashPassword(word), Role: role})
		if store.CodeOf(err) == store.CodeHandleTaken {
			return fmt.Errorf("the handle %s is taken; choose another", u.Handle)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "Made the account %s (%s).\n", user.Handle, user.ID)
		return err
	})
}

type userPasswdCmd struct {
	accountCmd
	passwordFlags
	Handle string `arg:"" help:"Whose password to set."`
}

// Run sets the password.
func (u *userPasswdCmd) Run(ctx context.Context, c *console) error {
	word, err := u.read(c)
	if err != nil {
		return err
	}
	return u.withUser(ctx, c, u.Handle, func(s *store.Store, user store.User) error {
		if err := s.SetPassword(ctx, user.ID, api.HashPassword(word)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "Set the password of %s; all sessions have ended.\n", user.Handle)
		return err
	})
}

type userListCmd struct {
	accountCmd
}

// userPage is how many accounts are read at a time.
const userPage = 500

// Run lists the accounts by handle.
func (u *userListCmd) Run(ctx context.Context, c *console) error {
	return u.with(ctx, c, true, func(s *store.Store) error {
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "HANDLE\tID\tROLE\tSTATE\tCREATED\tNAME")
		for after := ""; ; {
			users, err := s.Users(ctx, after, userPage)
			if err != nil {
				return err
			}
			for _, user := range users {
				state := "enabled"
				if user.DisabledAt != 0 {
					state = "disabled"
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", user.Handle, user.ID, user.Role, state,
					user.CreatedAt.Time().Format("2006-01-02"), user.DisplayName)
				after = user.Handle
			}
			if len(users) < userPage {
				return table.Flush()
			}
		}
	})
}

type userDisableCmd struct {
	accountCmd
	Handle string `arg:"" help:"Whom to lock out."`
}

// Run locks the account.
func (u *userDisableCmd) Run(ctx context.Context, c *console) error {
	return u.withUser(ctx, c, u.Handle, func(s *store.Store, user store.User) error {
		if err := s.DisableUser(ctx, user.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "Disabled %s; all sessions have ended.\n", user.Handle)
		return err
	})
}

type userEnableCmd struct {
	accountCmd
	Handle string `arg:"" help:"Whom to let in again."`
}

// Run unlocks the account.
func (u *userEnableCmd) Run(ctx context.Context, c *console) error {
	return u.withUser(ctx, c, u.Handle, func(s *store.Store, user store.User) error {
		if err := s.EnableUser(ctx, user.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.out, "Enabled %s; a new sign-in is needed.\n", user.Handle)
		return err
	})
}

type userEndSessionsCmd struct {
	accountCmd
	Handle string `arg:"" help:"Whom to sign out."`
}

// Run ends the sessions.
func (u *userEndSessionsCmd) Run(ctx context.Context, c *console) error {
	return u.withUser(ctx, c, u.Handle, func(s *store.Store, user store.User) error {
		n, err := s.EndSessions(ctx, user.ID)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "Ended %d sessions of %s.\n", n, user.Handle)
		return err
	})
}
