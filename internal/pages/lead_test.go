package pages

import (
	"strings"
	"testing"

	"holdline/internal/browser"
	"holdline/internal/harness"
)

// What is handed on while a tab waits for its snapshot, and what it did not see of
// that, is not missed.
func TestLegacyTabMissesNothingWhileItConnects(t *testing.T) {
	t.Parallel()
	profile := browser.NewProfile(t, Old(false))
	server, first, bob, talk := annAndBobIn(profile)
	bob.MustSend(talk, "0", "zero")
	first.Until("it leads", polls+" > 0 && "+Shows("list", "zero"))
	opened, _ := profile.Open(server.URL + "/legacy")
	second := &Person{opened, "ann"}
	second.Until("it follows", Shows("list", "zero"))
	hold(second, "if (/inbox.t=/.test(url) && !window.snapshot) x.onreadystatechange = function () { if (x.readyState == 4) window.snapshot = does; };")
	if err := second.Eval("window.onpagehide(), window.onpageshow()", nil); err != nil {
		t.Fatal(err)
	}
	second.Until("its snapshot is held", "window.snapshot")
	// A page that is slow to load is shown only now: it need not connect again.
	connects := second.Text("window.requested.join().split('inbox?t').length")
	if err := second.Eval("window.onpageshow()", nil); err != nil {
		t.Fatal(err)
	}
	if now := second.Text("window.requested.join().split('inbox?t').length"); now != connects {
		t.Error("it connects again")
	}
	// It sleeps, and is told late.
	if err := second.Eval("window.told = window.onstorage, window.onstorage = null", nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		bob.MustSend(talk, text, text)
		first.Until("the other tab has it", Shows("list", text))
	}
	if err := second.Eval("window.onstorage = told, told({})", nil); err != nil {
		t.Fatal(err)
	}
	release(second, "snapshot")
	second.Until("it has it too", Shows("list", "two"))
}

// Internet Explorer tells a tab of what it has written itself: that is no reason
// to write again.
func TestLegacyIsNotDrivenByItsOwnWriting(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)+`
		window.written = 0;
		(function (set) {
			Storage.prototype.setItem = function (key, value) {
				set.call(this, key, value);
				if (/lead/.test(key)) window.written++;
				setTimeout(function () { if (window.onstorage) window.onstorage({}); }, 0);
			};
		})(Storage.prototype.setItem);`), server.URL, "ann")
	ann.Enter("join")
	ann.Until("it leads", polls+" > 0")
	ann.Until("it has led for a while", "!window.from && (window.from = new Date().getTime()), new Date().getTime() > window.from + 5000")
	if n := ann.Text("window.written < 6"); n != "true" {
		t.Errorf("in five seconds it wrote %s times that it leads", ann.Text("window.written"))
	}
}

// What is handed on is what the server told, without what the page has put to it:
// in old WebKits all that an element refers to would be written along.
func TestLegacyHandsOnWhatTheServerTold(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)+`
		window.news = [];
		(function (set) {
			Storage.prototype.setItem = function (key, value) {
				set.call(this, key, value);
				if (/news/.test(key)) window.news.push(value);
			};
		})(Storage.prototype.setItem);`), server.URL, "ann")
	ann.Enter("join")
	bob := server.SignUp("bob")
	talk := bob.Direct("ann")
	ann.Choose("bob")
	reply(bob, talk, "one", bob.MustSend(talk, "0", "zero").Seq)
	ann.Until("handed on", "window.news.join().indexOf('one') > 0")
	if got := ann.Text("window.news.join()"); strings.Contains(got, `"row"`) || strings.Contains(got, `"quote"`) {
		t.Errorf("handed on: %s", got)
	}
}

// A tab that has given the lead away does not go on saying that there is no
// connection: it has none to tell of.
func TestLegacyWhoFollowsTellsOfNoConnection(t *testing.T) {
	t.Parallel()
	server := harness.Start(t, harness.Config{NoRace: true})
	ann := arrive(browser.NewProfile(t, Old(false)), server.URL, "ann")
	ann.Enter("join")
	ann.Until("it leads", polls+" > 0")
	server.Kill()
	ann.Until("the connection is gone", Shows("state", "No connection"))
	if err := ann.Eval(`(function () {
		for (var i = 0, key; i < localStorage.length; i++) if (/lead/.test(key = localStorage.key(i))) localStorage.setItem(key, '{"tab":"another","until":' + (new Date().getTime() + 8000) + '}');
		window.onstorage({});
	})()`, nil); err != nil {
		t.Fatal(err)
	}
	if got := ann.Text(El("state") + ".innerText"); got != "" {
		t.Errorf("it says %q", got)
	}
}
