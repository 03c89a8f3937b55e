rule tables:
    output:
        "a",


rule figures:
    output:
        "b",


rule summary:
    output:
        "c",
