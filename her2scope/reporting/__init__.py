"""From a case to its report: one `ReportContent` in, PDF, HTML, JSON and CSV out. No Qt."""
