//! Colours for the text being typed: keywords, strings, numbers, comments.

use std::collections::BTreeSet;

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use crate::tokens::{Kind, tokens};

/// Colours SQL as it is typed.
pub(super) struct Colors {
    /// DuckDB's keywords, in lower case.
    pub(super) keywords: BTreeSet<String>,
}

impl Highlighter for Colors {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        if line.trim_start().starts_with('.') {
            styled.push((Color::Cyan.normal(), line.to_owned()));
            return styled;
        }
        for token in tokens(line) {
            let style = match token.kind {
                Kind::Comment => Style::new().dimmed(),
                // Unclosed quotes stand out.
                Kind::Text | Kind::OtherText | Kind::Name if !token.closed => Color::Red.normal(),
                Kind::Text | Kind::OtherText => Color::Green.normal(),
                Kind::Number => Color::Magenta.normal(),
                Kind::Word if self.keywords.contains(&token.text.to_lowercase()) => Color::Blue.bold(),
                _ => Style::new(),
            };
            styled.push((style, token.text.to_owned()));
        }
        styled
    }
}
