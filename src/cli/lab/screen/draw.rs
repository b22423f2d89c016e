//! What the loop shows: progress above, question and results between, input and keys below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::view::View;
use crate::cli::lab::session::Session;
use crate::lab::answers::form;
use crate::lab::question::Kind;
use crate::report::lab::page::page;
use crate::report::lab::text::points;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, session: &Session<'_>, view: &mut View) {
    let area = frame.area();
    let lang = session.lang();
    let part = &session.lab.card.parts[view.at];
    let [head, body, input, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(session, head.width)), head);

    let intro = if view.at == 0 { session.intro(body.width) + "\n" } else { String::new() };
    let question = intro + &session.question(view.at, body.width);
    let mut text = anstream::adapter::strip_str(&question).to_string();
    for said in &view.said {
        text.push('\n');
        // A result is laid out already; a sentence is wrapped.
        let is_laid_out = said.contains('\n');
        text.push_str(&if is_laid_out {
            said.clone()
        } else {
            anstream::adapter::strip_str(&page(said, body.width)).to_string()
        });
    }
    let lines: Vec<Line<'_>> = text.lines().map(styled).collect();
    view.lines = lines.len();
    view.rows = usize::from(body.height);
    let top = view.top.min(view.lines.saturating_sub(view.rows));
    frame.render_widget(Paragraph::new(Text::from(lines)).scroll((u16::try_from(top).unwrap_or(0), 0)), body);

    let width = usize::from(input.width);
    let prompt = if let Some(busy) = view.busy {
        // The seconds tell that it goes on; most measurements take less than one.
        let seconds = if busy.as_secs() > 0 { format!(" {} s", busy.as_secs()) } else { String::new() };
        let what = match part.kind {
            Kind::Program => lang.say("checking your program …", "正在检查程序……"),
            _ => lang.say("measuring …", "正在测量……"),
        };
        format!("{what}{seconds}")
    } else if view.is_over {
        lang.say("Right! Enter: the next question", "正确！按回车看下一题").to_owned()
    } else if part.kind == Kind::Program {
        lang.say("Save your file to check it, or press Enter.", "保存文件就会检查，也可以按回车。").to_owned()
    } else {
        let form = form(part, lang);
        let shown: &str = if form.width() + 20 > width { "" } else { &form };
        // Of a long answer the end is shown, which is being typed.
        let room = width.saturating_sub(shown.width() + 4);
        let mut typed = view.typed.as_str();
        while typed.width() > room {
            typed = &typed[typed.chars().next().map_or(0, char::len_utf8)..];
        }
        format!("{shown}> {typed}█")
    };
    let style =
        if view.is_over { Style::new().fg(Color::Green) } else { Style::new().add_modifier(Modifier::BOLD) };
    frame.render_widget(Paragraph::new(prompt).style(style), input);
    frame.render_widget(Paragraph::new(footer(session, foot.width, view)), foot);
}

/// The title and the progress.
fn header(session: &Session<'_>, width: u16) -> Line<'static> {
    let (right, all, best, most) = session.score();
    let tail = format!(" {right}/{all}  {}/{most}", points(best));
    let title = session.title();
    let room = usize::from(width).saturating_sub(tail.width());
    // The bar shrinks before the title does.
    let bar = room.saturating_sub(title.width() + 2).clamp(5, 20);
    let mut shown = title;
    while shown.width() + bar + 1 > room && !shown.is_empty() {
        shown.pop();
    }
    let filled = bar * right / all.max(1);
    Line::from(vec![
        Span::styled(shown, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(" "),
        Span::styled("█".repeat(filled), Style::new().fg(Color::Green)),
        Span::styled("░".repeat(bar - filled), Style::new().add_modifier(Modifier::DIM)),
        Span::raw(tail),
    ])
}

/// The keys that do something now.
fn footer(session: &Session<'_>, width: u16, view: &View) -> Line<'static> {
    let lang = session.lang();
    let quit = ("Esc", lang.say("quit", "退出"));
    let mut keys = match view.busy {
        Some(_) => vec![quit],
        None => vec![
            ("?", lang.say("hint", "提示")),
            (">", lang.say("skip", "跳过")),
            ("#", lang.say("list", "列表")),
            quit,
        ],
    };
    if view.busy.is_none() && view.lines > view.rows {
        keys.push(("↑↓", lang.say("scroll", "滚动")));
    }
    let mut spans = Vec::new();
    let mut used = 0;
    for (key, what) in keys {
        used += key.width() + what.width() + 4;
        if used > usize::from(width) + 3 {
            break;
        }
        spans.push(Span::styled(key, Style::new().add_modifier(Modifier::REVERSED)));
        spans.push(Span::raw(format!(" {what}   ")));
    }
    Line::from(spans)
}

/// A line in the colour of its content.
fn styled(line: &str) -> Line<'static> {
    let line = line.to_owned();
    let style = if line.starts_with('✓') || line.trim_end().ends_with('✓') {
        Style::new().fg(Color::Green)
    } else if line.starts_with('✗') || line.starts_with('◐') || line.trim_end().ends_with('✗') {
        Style::new().fg(Color::Red)
    } else if line.starts_with("    ") {
        Style::new().fg(Color::Cyan)
    } else {
        Style::new()
    };
    Line::styled(line, style)
}
