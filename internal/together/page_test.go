package together

import (
	"holdline/internal/browser"
	"holdline/internal/pages"
)

// page is somebody at the legacy page, in a browser without anything modern.
func (g *group) page(handle string) client {
	person := pages.Arrive(browser.NewProfile(g.t, pages.Old(false)), g.server.URL, handle)
	person.Enter("enter")
	person.Choose(title)
	return client{handle, func(text string) error {
		person.Say(text)
		return nil
	}, func() ([]said, error) {
		var rows [][2]string
		// One's own have no name; those that are not sent yet have no time.
		err := person.Eval(`(function () {
			var all = `+pages.El("messages")+`.childNodes, out = [], i, row;
			function part(row, name) {
				for (var j = 0; j < row.childNodes.length; j++) if (row.childNodes[j].className == name) return row.childNodes[j].innerText;
				return '';
			}
			for (i = 0; i < all.length; i++) {
				row = all[i];
				if (part(row, 'text')) out.push([part(row, 'who') || '`+handle+`', part(row, 'text')]);
			}
			return out;
		})()`, &rows)
		var shown []said
		for _, row := range rows {
			shown = append(shown, said{0, row[0], row[1]})
		}
		return shown, err
	}}
}
