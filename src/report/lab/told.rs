//! The wording of results, in either language.

use crate::lab::check::Flaw;
use crate::lab::lang::Lang;
use crate::lab::mark::{BadSchedule, Bound, Note, PartMark, Reason, State, TestMark};
use crate::said::quoted_zh;

/// A state, in a word or two.
pub fn state(state: State, lang: Lang) -> &'static str {
    match state {
        State::Right => lang.say("right", "正确"),
        State::Partly => lang.say("partly right", "部分正确"),
        State::Wrong => lang.say("not yet", "还不对"),
        State::Open => lang.say("open", "未作答"),
        State::Failed => lang.say("could not be marked", "无法评分"),
    }
}

/// The wording of a note.
pub fn note(note: &Note, lang: Lang) -> String {
    match note {
        Note::Varies => lang
            .say(
                "What is marked with ~ varies from run to run and does not count.",
                "标有 ~ 的部分每次运行都可能不同，所以不计分。",
            )
            .to_owned(),
        Note::NotMeasured { why } => {
            format!(
                "{}{}",
                lang.say("This could not be measured here: ", "这里无法测量："),
                quoted(why, lang)
            )
        }
        Note::Missing { program } => match lang {
            Lang::En => format!("`{program}` is not installed, and this lab needs it."),
            Lang::Zh => format!("本实验需要 `{program}`，但这台机器上没有安装。"),
        },
        Note::NoFile { file } => match lang {
            Lang::En => format!("The file {file} does not exist."),
            Lang::Zh => format!("没有找到文件 {file}。"),
        },
        Note::Unreadable { file, why } => match lang {
            Lang::En => format!("{file} cannot be read: {why}."),
            Lang::Zh => format!("无法读取 {file}：{}。", quoted_zh(why)),
        },
        Note::Marked { file } => match lang {
            Lang::En => format!("Marked: {file}."),
            Lang::Zh => format!("评分的文件：{file}。"),
        },
        Note::NotBuilt { said, ended } => {
            let ended = ended.as_ref().map(|ended| match lang {
                Lang::En => format!("It does not compile. Of the compiler: {}.", reason(ended, lang)),
                Lang::Zh => format!("编译没有通过。编译器：{}。", reason(ended, lang)),
            });
            let heading = lang.say("It does not compile. The compiler says:", "编译没有通过。编译器说：");
            match ended {
                Some(ended) => with_lines(ended, said),
                None => with_lines(heading.to_owned(), said),
            }
        }
        Note::Proved { executions } => match lang {
            Lang::En => format!(
                "No schedule is wrong: every interleaving of its steps was executed ({executions} executions)."
            ),
            Lang::Zh => format!("没有任何一种调度会出错：所有的交错执行都试过了（共执行 {executions} 次）。"),
        },
        Note::Bounded { executions, uncontrolled } => {
            let text = match lang {
                Lang::En => format!(
                    "No wrong schedule was found in {executions} executions. This is not a proof: there are others."
                ),
                Lang::Zh => {
                    format!("执行了 {executions} 次，没有发现会出错的调度。这不是证明：还有没试过的调度。")
                }
            };
            match uncontrolled.first() {
                None => text,
                Some(what) => format!(
                    "{text} ({}{})",
                    lang.say("not under control: ", "无法控制："),
                    quoted(what, lang)
                ),
            }
        }
        Note::NotExplored => lang
            .say("Its schedules are searched once its tests pass.", "测试全部通过以后，才会搜索它的调度。")
            .to_owned(),
        Note::ExplorerFailed { why } => {
            format!(
                "{}{}",
                lang.say("The explorer could not run it: ", "探索器无法运行它："),
                quoted(why, lang)
            )
        }
        Note::Reached { switches, shortest, most } => match lang {
            Lang::En if switches <= most => {
                format!("Reached with {switches} switches; at least {shortest} are needed.")
            }
            Lang::En => format!(
                "Reached with {switches} switches; {shortest} are enough, and at most {most} are asked for."
            ),
            Lang::Zh if switches <= most => format!("用 {switches} 次切换达到了；最少需要 {shortest} 次。"),
            Lang::Zh => {
                format!("用 {switches} 次切换达到了；其实 {shortest} 次就够，题目要求不超过 {most} 次。")
            }
        },
        Note::NotReached { verdict, goal } => match lang {
            Lang::En => format!("This schedule ends with `{verdict}` instead of `{goal}`."),
            Lang::Zh => format!("这个调度的结果是 `{verdict}`，不是 `{goal}`。"),
        },
        Note::CannotGoOn { step, process } => match lang {
            Lang::En => {
                format!(
                    "At step {step}, {process} cannot continue: it has ended, or waits for another process."
                )
            }
            Lang::Zh => format!("第 {step} 步时，{process} 不能继续：它已经结束，或在等待别的进程。"),
        },
    }
}

/// The wording of why a test failed.
pub fn reason(reason: &Reason, lang: Lang) -> String {
    match reason {
        Reason::Status { expected, found, stderr } => {
            let text = match lang {
                Lang::En => format!("it ended with {found}; expected: exit {expected}"),
                Lang::Zh => format!("它以 {found} 结束，应为 exit {expected}"),
            };
            with_lines(text, stderr)
        }
        Reason::Output { expected, found } => match lang {
            Lang::En => format!("expected:\n{}\nit wrote:\n{}", indented(expected), indented(found)),
            Lang::Zh => format!("应当输出：\n{}\n实际输出：\n{}", indented(expected), indented(found)),
        },
        Reason::Check { said } => {
            let heading =
                if said.trim().is_empty() { "检查没有通过" } else { "检查没有通过，原文：" };
            with_lines(lang.say("the check does not pass", heading).to_owned(), said)
        }
        Reason::Bound { bound, most } => match (bound, lang) {
            (Bound::Time, Lang::En) => format!("it had not ended after {most} s, and was killed"),
            (Bound::Time, Lang::Zh) => format!("{most} 秒后仍未结束，已被终止"),
            (Bound::Output, Lang::En) => format!("it wrote more than {most} KiB, and was killed"),
            (Bound::Output, Lang::Zh) => format!("输出超过 {most} KiB，已被终止"),
            (Bound::Processes, Lang::En) => format!("it had more than {most} processes, and was killed"),
            (Bound::Processes, Lang::Zh) => format!("进程超过 {most} 个，已被终止"),
            (Bound::Memory, Lang::En) => format!("it used more than {most} MiB of memory, and was killed"),
            (Bound::Memory, Lang::Zh) => format!("内存超过 {most} MiB，已被终止"),
            (Bound::Disk, Lang::En) => format!("it wrote more than {most} MiB of files, and was killed"),
            (Bound::Disk, Lang::Zh) => format!("写入的文件超过 {most} MiB，已被终止"),
        },
        Reason::Interfered => {
            lang.say("it killed the process that ran it", "它杀死了运行它的进程").to_owned()
        }
        Reason::Left { processes } => match lang {
            Lang::En => format!("it left {processes} processes behind; they were killed"),
            Lang::Zh => format!("它留下了 {processes} 个进程，已被终止"),
        },
    }
}

/// Words of the system or of a program.
fn quoted(words: &str, lang: Lang) -> String {
    lang.say(words.to_owned(), quoted_zh(words))
}

fn with_lines(text: String, more: &str) -> String {
    if more.trim().is_empty() { text } else { format!("{text}\n{}", indented(more.trim_end())) }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// A schedule under which a program is wrong, step by step.
pub fn schedule(bad: &BadSchedule, lang: Lang) -> String {
    let head = match lang {
        Lang::En => {
            format!("It goes wrong ({}) under this schedule, with {} switches:", bad.verdict, bad.switches)
        }
        Lang::Zh => format!("在下面的调度下会出错（{}），共 {} 次切换：", bad.verdict, bad.switches),
    };
    let mut lines = vec![head];
    let width = bad.steps.iter().map(|step| step.task.len()).max().unwrap_or(0);
    let (mut before, mut at) = (None, None);
    let mut number = 1;
    for same in bad.steps.chunk_by(|one, other| one == other) {
        let step = &same[0];
        let task = if before == Some(&step.task) { "" } else { step.task.as_str() };
        // A line is written once for the calls that it makes.
        let is_new = (before, at) != (Some(&step.task), step.line.as_ref());
        if let Some(line) = step.line.as_ref().filter(|_| is_new) {
            let source = step.source.as_deref().unwrap_or_default();
            lines.push(format!("      {:width$}  # {line}  {source}", "").trim_end().to_owned());
        }
        (before, at) = (Some(&step.task), step.line.as_ref());
        let call: String = step.call.chars().filter(|c| !c.is_control()).collect();
        let killed = if step.killed { lang.say("KILLED before ", "在此之前被杀死：") } else { "" };
        let times = if same.len() > 1 { format!("  (×{})", same.len()) } else { String::new() };
        lines.push(format!("{number:>4}  {task:width$}  {killed}{call}{times}"));
        number += same.len();
    }
    if bad.left_out > 0 {
        lines.push(match lang {
            Lang::En => format!("      … and {} more steps", bad.left_out),
            Lang::Zh => format!("      ……以及另外 {} 步", bad.left_out),
        });
    }
    if !bad.why.is_empty() {
        lines.push(format!("{} {}", lang.say("So:", "结果："), bad.why.trim_end()));
    }
    lines.push(format!("{} {}", lang.say("Again:", "重现："), bad.replay));
    lines.join("\n")
}

/// A flaw of a lab, as its lecturer reads it.
pub fn flaw(flaw: &Flaw) -> String {
    match flaw {
        Flaw::Said(said) => said.clone(),
        Flaw::Unsolved { student, part } => {
            let head = format!(
                "{student}: the solution of part `{}` has {} of {} points",
                part.id, part.score, part.max
            );
            let rows = part.rows.iter().filter(|row| row.right == Some(false)).map(|row| {
                let said = |what: &Option<String>| what.clone().unwrap_or_else(|| "nothing".to_owned());
                let label = if row.label.is_empty() { String::new() } else { format!("{}: ", row.label) };
                format!(
                    "{label}measured {} at first, and {} later",
                    said(&row.predicted),
                    said(&row.measured)
                )
            });
            let all: Vec<String> = details(part, Lang::En).into_iter().chain(rows).collect();
            with_lines(head, &all.join("\n"))
        }
    }
}

/// Everything about a part except its rows, one paragraph each.
pub fn details(part: &PartMark, lang: Lang) -> Vec<String> {
    let mut all = remarks(part, lang);
    all.extend(part.schedule.iter().map(|bad| schedule(bad, lang)));
    all
}

/// The tests and notes of a part, one paragraph each.
pub fn remarks(part: &PartMark, lang: Lang) -> Vec<String> {
    let name = |test: &TestMark| match (lang, &test.zh) {
        (Lang::Zh, Some(name)) => name.clone(),
        _ => test.name.clone(),
    };
    let mut all = Vec::new();
    for test in &part.tests {
        all.push(match &test.failed {
            None => format!("✓ {}", name(test)),
            Some(why) => format!("✗ {}: {}", name(test), reason(why, lang)),
        });
    }
    all.extend(part.notes.iter().map(|one| note(one, lang)));
    all
}
