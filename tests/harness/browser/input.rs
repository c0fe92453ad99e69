//! Hands: real mouse, wheel and keyboard events, which a page cannot tell from a person's.

use serde_json::{Value, json};

use super::page::Page;

impl Page {
    /// Clicks the middle of the first such element, scrolled to where it can be seen.
    pub async fn click(&self, selector: &str) {
        let (x, y) = self.middle_of(selector).await;
        self.click_at(x, y).await;
    }

    /// Clicks there, in CSS pixels of the viewport.
    pub async fn click_at(&self, x: f64, y: f64) {
        self.mouse("mouseMoved", x, y, json!({})).await;
        let button = json!({"button": "left", "buttons": 1, "clickCount": 1});
        self.mouse("mousePressed", x, y, button.clone()).await;
        self.mouse("mouseReleased", x, y, button).await;
    }

    /// Turns the wheel over the first such element; positive is down.
    pub async fn wheel(&self, selector: &str, pixels: f64) {
        let (x, y) = self.middle_of(selector).await;
        let turn = json!({"deltaX": 0, "deltaY": pixels});
        self.mouse("mouseWheel", x, y, turn).await;
    }

    /// Types text where the focus is.
    pub async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses and lets go of a key: `Enter`, `End`, `ArrowUp`, `Escape`, `Tab`, `/`, …
    pub async fn press(&self, key: &str) {
        let code = match key {
            "Backspace" => 8,
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            " " => 32,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            "Delete" => 46,
            "/" => 191,
            other => other.bytes().next().map_or(0, |b| b.to_ascii_uppercase()),
        };
        let mut down = json!({
            "type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": code,
        });
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        if !text.is_empty() {
            down["type"] = "keyDown".into();
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", down).await;
        let up = json!({
            "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code,
        });
        self.call("Input.dispatchKeyEvent", up).await;
    }

    /// Puts the focus into a field and replaces what is in it.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.click(selector).await;
        let named = json!(selector);
        self.eval(&format!("document.querySelector({named}).select?.()"))
            .await;
        if text.is_empty() {
            self.press("Delete").await;
        } else {
            self.type_text(text).await;
        }
    }

    async fn middle_of(&self, selector: &str) -> (f64, f64) {
        let named = json!(selector);
        let place = self
            .eval(&format!(
                "(() => {{ const it = document.querySelector({named});
                   if (!it) return null;
                   const seen = it.getBoundingClientRect();
                   if (seen.bottom < 0 || seen.top > innerHeight || seen.right < 0 || seen.left > innerWidth)
                     it.scrollIntoView({{block: 'center', behavior: 'instant'}});
                   const r = it.getBoundingClientRect();
                   return [r.left + r.width / 2, r.top + r.height / 2]; }})()"
            ))
            .await;
        assert!(!place.is_null(), "nothing is {selector}");
        let at = |index: usize| place[index].as_f64().expect("a place has numbers");
        (at(0), at(1))
    }

    async fn mouse(&self, kind: &str, x: f64, y: f64, more: Value) {
        let mut event = json!({"type": kind, "x": x, "y": y});
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        self.call("Input.dispatchMouseEvent", event).await;
    }
}
