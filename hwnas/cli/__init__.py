"""The command line: one file per verb, `main.py` for what they share with the shell.

    main.py     the application
    script.py   exit codes, errors on stderr; for programs of one's own, such as those in examples/, too
    console.py  what is printed where: one JSON object on stdout, progress on stderr
    options.py  options that several verbs have
    architecture_argument.py   an architecture given as a string or a JSON file

A verb imports what it needs when it runs, so that `hwnas --help` is immediate and loads no torch.
"""
