package store

import (
	"fmt"
	"slices"
	"strings"
)

// account is an account's row as joining a conversation needs it.
type account struct {
	ID         ID     `db:"user_id"`
	Handle     string `db:"handle"`
	NextSlot   int64  `db:"next_slot"`
	DisabledAt Millis `db:"disabled_at"`
	DeletedAt  Millis `db:"deleted_at"`
}

func (a *account) enabled() bool { return a.DisabledAt == 0 && a.DeletedAt == 0 }

// normalHandles checks a list of members as a caller names them, and returns it
// sorted and without repeats. CodeInvalid, CodeUnknownMember.
func normalHandles(handles []string) ([]string, error) {
	if len(handles) > MaxMembersAtOnce {
		return nil, invalid("members", fmt.Sprintf("must name at most %d people at once; add the others afterwards", MaxMembersAtOnce))
	}
	handles = slices.Clone(handles)
	slices.Sort(handles)
	handles = slices.Compact(handles)
	var impossible []string
	for _, h := range handles {
		if !ValidHandle(h) {
			impossible = append(impossible, h)
		}
	}
	if len(impossible) > 0 {
		return nil, unknownMembers(impossible)
	}
	return handles, nil
}

// findAccounts returns the accounts with these handles, in the order of ids,
// and nothing locked. CodeUnknownMember names those there are none of.
func findAccounts(tx *Tx, handles []string) ([]ID, error) {
	type row struct {
		Handle string `db:"handle"`
		ID     ID     `db:"user_id"`
	}
	found, err := selectIn[row](tx, `SELECT handle, user_id FROM handles WHERE handle IN (?)`, handles)
	if err != nil {
		return nil, err
	}
	ids := make([]ID, 0, len(found))
	missing := make(map[string]struct{}, len(handles))
	for _, h := range handles {
		missing[h] = struct{}{}
	}
	for _, r := range found {
		ids = append(ids, r.ID)
		delete(missing, r.Handle)
	}
	if len(missing) > 0 {
		var names []string
		for h := range missing {
			names = append(names, h)
		}
		slices.Sort(names)
		return nil, unknownMembers(names)
	}
	slices.Sort(ids)
	return ids, nil
}

// lockAccounts locks the accounts' rows in the order of their ids, which must
// be sorted, and returns them as they are under the lock.
func (s *Store) lockAccounts(tx *Tx, ids []ID) ([]account, error) {
	return selectIn[account](tx, `SELECT user_id, handle, next_slot, disabled_at, deleted_at FROM users
		WHERE user_id IN (?) ORDER BY user_id`+s.backend.ForUpdate(), ids)
}

// refuseDisabled returns CodeUnknownMember if one of the accounts is disabled:
// to others a disabled account is as good as none.
func refuseDisabled(accounts []account) error {
	var names []string
	for _, a := range accounts {
		if !a.enabled() {
			names = append(names, a.Handle)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return unknownMembers(names)
}

// unknownMembers names the handles at fault, the first few of them.
func unknownMembers(handles []string) error {
	const most, longest = 5, 40
	var names []string
	for _, h := range handles[:min(len(handles), most)] {
		name := fmt.Sprintf("%+q", h) // it may hold anything
		if len(name) > longest {
			name = name[:longest] + `…"`
		}
		names = append(names, name)
	}
	list := strings.Join(names, ", ")
	if more := len(handles) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return &Error{Code: CodeUnknownMember, Field: "members", Message: "there is no active account with the handle " + list}
}
