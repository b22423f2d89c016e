//! The notes' ticket sale in Python, as it stands there.

use super::{Place, content, explored, has};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::Value;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_programs":
        the_notes_sale_in_python_sells_one_ticket_twice_and_crashes_on_a_file_half_written,
    ]
}

const SALE: &str = r"
import json, time
from multiprocessing import Process
def search_ticket(user):
    with open('ticket_count') as f:
        dic = json.load(f)
    print('%s finds %s' % (user, dic['count']))
def buy_ticket(user):
    time.sleep(0.02)
    with open('ticket_count') as f:
        dic = json.load(f)
    if dic['count'] > 0:
        print('%s bought' % user)
        dic['count'] -= 1
    time.sleep(0.02)
    with open('ticket_count', 'w') as f:
        json.dump(dic, f)
def task(user):
    search_ticket(user)
    buy_ticket(user)
if __name__ == '__main__':
    for i in range(2):
        Process(target=task, args=('user%s' % i,)).start()
";

fn the_notes_sale_in_python_sells_one_ticket_twice_and_crashes_on_a_file_half_written() {
    if !has("python3") {
        return;
    }
    let place = Place::new("sale-python", &[("ticket_count", "{\"count\": 1}"), ("sale.py", SALE)]);
    let words = ["explore", "--budget", "60", "--ignore", "__pycache__", "--", "/usr/bin/python3", "sale.py"];
    let (view, _) = place.json(&words);
    let told = |outcome: &Value| {
        let bought = outcome["stdout"].to_string().matches("bought").count();
        let crashed = outcome["stderr"].to_string().contains("JSONDecodeError");
        format!("{bought} bought, crashed: {crashed}, {}", content(outcome, "ticket_count"))
    };
    let found = explored(&view, told);
    for expected in ["1 bought, crashed: false, ", "2 bought, crashed: false, ", "1 bought, crashed: true, "]
    {
        let expected = format!("{expected}{{\"count\": 0}}");
        assert!(found.contains(&expected), "{expected} among {found:?}");
    }
}
