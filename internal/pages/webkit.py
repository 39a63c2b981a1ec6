"""A WebKit of 2016 (Qt 5's), led by lines of JSON on standard input."""
import json
import sys

from PyQt5.QtCore import QSize, QSocketNotifier, Qt, QUrl
from PyQt5.QtTest import QTest
from PyQt5.QtWebKit import QWebSettings
from PyQt5.QtWebKitWidgets import QWebPage, QWebView
from PyQt5.QtWidgets import QApplication

KEYS = {"Tab": Qt.Key_Tab, "Enter": Qt.Key_Return}


class Page(QWebPage):
    def javaScriptConsoleMessage(self, message, line, source):
        sys.stderr.write("%s:%d: %s\n" % (source, line, message))


app = QApplication(sys.argv[:1])
view = QWebView()
view.setPage(Page(view))
settings = view.settings()
settings.setAttribute(QWebSettings.LocalStorageEnabled, True)
settings.setLocalStoragePath(sys.argv[1])
view.show()
view.activateWindow()
view.setFocus()


def do(command, argument):
    """Does one thing, and returns what is to be told."""
    if command == "load":
        view.load(QUrl(argument))
    elif command == "reload":
        view.reload()
    elif command == "size":
        view.resize(QSize(*argument))
    elif command == "type":
        QTest.keyClicks(view, argument)
    elif command == "press":
        QTest.keyClick(view, KEYS[argument])
    elif command == "picture":
        return view.grab().save(argument, "PNG")
    elif command == "eval":
        return view.page().mainFrame().evaluateJavaScript("JSON.stringify((%s))" % argument)
    else:
        raise ValueError(command)
    return None


def read():
    line = sys.stdin.readline()
    if not line:
        app.quit()
        return
    said = do(*json.loads(line))
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Read)
notifier.activated.connect(read)
sys.exit(app.exec_())
