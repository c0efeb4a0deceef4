//! Scores as a table.

use super::Scores;

impl Scores {
    /// One line per token.
    pub(super) fn table(&self) -> Vec<String> {
        let names = self.contrasts.iter().map(|contrast| format!("{:>12} {:>9} {:>9}", contrast.name, "k3", "kl"));
        let mut lines = vec![format!(
            "{:>8}  {:<16} {:>9} {:>9} {} {:>11}",
            "id",
            "token",
            "log prob",
            "entropy",
            names.collect::<Vec<_>>().join(" "),
            "dependency"
        )];
        for (index, id) in self.ids.iter().enumerate() {
            let contrasts = self.contrasts.iter().map(|contrast| {
                format!("{:>12.4} {:>9.4} {:>9.4}", contrast.log_probs[index], contrast.k3[index], contrast.kl[index])
            });
            let dependency = self.dependency.get(index).map_or_else(String::new, |value| format!("{value:.4}"));
            lines.push(format!(
                "{id:>8}  {:<16} {:>9.4} {:>9.4} {} {dependency:>11}",
                format!("{:?}", self.tokens[index]),
                self.log_probs[index],
                self.entropy[index],
                contrasts.collect::<Vec<_>>().join(" "),
            ));
        }
        lines
    }
}
