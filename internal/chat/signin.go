package chat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	holdline "holdline/sdk/go"
)

// callTimeout bounds a call that does not wait for anything.
const callTimeout = 30 * time.Second

// device is how the server's list of sessions names this one.
const device = "holdline chat"

// SignIn returns the stored session, without asking the server whether it still lasts, or makes one and stores it.
// password is asked only if it is needed. signUp makes the account.
func SignIn(ctx context.Context, a Account, password func() (string, error), signUp bool) (Session, error) {
	s, err := a.Load()
	switch {
	case err == nil && signUp:
		return s, fmt.Errorf("%s is signed in already; leave out --sign-up", a.Handle)
	case err == nil:
		return s, nil
	case !errors.Is(err, os.ErrNotExist):
		return s, err
	}
	word, err := password()
	if err != nil {
		return s, err
	}
	api, err := holdline.New(a.Server, holdline.Options{})
	if err != nil {
		return s, err
	}
	defer api.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var in holdline.SignedIn
	if signUp {
		in, err = read[holdline.SignedIn](api.CreateUser(ctx, holdline.NewUser{Handle: a.Handle, Password: word}))
	} else {
		in, err = read[holdline.SignedIn](api.CreateSession(ctx, holdline.NewSession{Handle: a.Handle, Password: word, DeviceName: device}))
	}
	if err != nil {
		return s, fmt.Errorf("signing in as %s: %s", a.Handle, Explain(err))
	}
	s = Session{Server: a.Server, Handle: in.User.Handle, UserID: in.User.Id, Token: in.Token}
	return s, a.Store(s)
}

// SignOut ends the stored session, here and on the server, and reports whether there was one. If the server cannot be
// reached, the session stays as it is.
func SignOut(ctx context.Context, a Account) (bool, error) {
	s, err := a.Load()
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	api, err := holdline.New(a.Server, holdline.Options{Token: s.Token})
	if err != nil {
		return false, err
	}
	defer api.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := read[struct{}](api.EndSession(ctx, "current")); err != nil && status(err) != 401 {
		return false, fmt.Errorf("signing out: %s", Explain(err))
	}
	return true, a.Forget()
}
