"""What do the publishers' own files of country indicators say, row by row?
May import: core, the spreadsheet reader; licctl uses it where the file lies, licd itself never opens a spreadsheet."""
